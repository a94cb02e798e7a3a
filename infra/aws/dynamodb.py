"""Shared state in one DynamoDB table, for all functions of a stage."""

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from core.ports import StoreError
from infra.aws.service import AwsService, Refusal, store_error
from infra.store_rules import check_names, counter_bounds, counter_sum, expiry

# One item is one record, one lease, or all counters of one key. Its partition is the sort and the kind, so that
# records, leases and counters of one name do not meet, and a kind is listed by one query:
#   pk        record#<kind>, lease#<kind> or counter#<kind>
#   sk        the key
#   ends_at   unix seconds, far in the future for what does not end; compared by every reader, for DynamoDB may take
#             days to remove what has expired
#   purge_at  the table's TTL attribute: a day after ends_at; absent where that never comes
#   content   of a record: its bytes
#   held_by   of a lease: its owner
#   n:<name>  of counters: one number each
# None of these names is reserved in expressions.
_RECORD: Final = "record#"
_LEASE: Final = "lease#"
_COUNTER: Final = "counter#"
_AMOUNT: Final = "n:"

_NEVER: Final = 1e15
_PURGE_AFTER: Final = 24 * 3600
_LARGEST: Final = 400_000  # bytes of content; an item may have 409,600 with its names
_LONGEST: Final = 1000  # bytes of a kind or a key; a sort key may have 1,024
_ROUNDS: Final = 10  # of an addition to counters that others create and delete at the same time

_FAILED_CONDITION: Final = "ConditionalCheckFailed"
_IS_FREE: Final = "attribute_not_exists(pk) OR ends_at <= :now"

_Item = dict[str, Any]


class DynamoStateStore:
    """A `StateStore` in one table with the keys `pk` and `sk` (both S) and the TTL attribute `purge_at`.

    make_client: returns boto3's client, made at the first call. now: the wall clock in unix seconds.

    Every read is consistent: the next holder of a lease sees what the last one saved, and a revoked key is refused at
    once. A call that DynamoDB throttles is made again a few times; an addition whose answer was lost on the way may
    then count twice, which the port's users (limits, the ledger) can bear.
    """

    def __init__(self, table: str, make_client: Callable[[], Any], now: Callable[[], float]) -> None:
        self._table = table
        self._dynamodb = AwsService("dynamodb", make_client)
        self._now = now

    def load(self, kind: str, key: str) -> bytes | None:
        """Return the record, or None when it is missing or expired."""
        item = self._live(_address(_RECORD, kind, key))
        return None if item is None else _content(item)

    def save(self, kind: str, key: str, value: bytes, *, expires_at: float | None = None) -> None:
        """Create or replace the record. Raises StoreError when it is larger than DynamoDB's items may be."""
        address, ends = _address(_RECORD, kind, key), _ends(expires_at)
        if len(value) > _LARGEST:
            raise StoreError(
                f"A record of {len(value):,} bytes ({kind}) is too large for DynamoDB, which takes {_LARGEST:,}."
            )
        self._call("put_item", Item={**address, **ends, "content": {"B": value}})

    def delete(self, kind: str, key: str, *, expected: bytes | None = None) -> bool:
        """Remove the record and the counters; with `expected`, only the record while it still holds that value."""
        record, counters = _address(_RECORD, kind, key), _address(_COUNTER, kind, key)
        live, values = "ends_at > :now", self._at_now()
        if expected is not None:
            values |= {":expected": {"B": expected}}
            return self._done("delete_item", f"{live} AND content = :expected", values, Key=record)
        found = [self._done("delete_item", live, values, Key=address) for address in (record, counters)]
        return any(found)

    def entries(self, kind: str) -> dict[str, bytes]:
        """Return every live record of this kind by key, sorted by key."""
        found = {item["sk"]["S"]: _content(item) for item in self._query(_RECORD, kind)}
        return {key: content for key, content in found.items() if content is not None}

    def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
        """Take the lease for `owner` unless another owner holds a live one; return whether it is ours."""
        check_names(owner)
        item = {**_address(_LEASE, kind, key), **_ends(expires_at), "held_by": {"S": owner}}
        values = {**self._at_now(), ":me": item["held_by"]}
        return self._done("put_item", f"{_IS_FREE} OR held_by = :me", values, Item=item)

    def release(self, kind: str, key: str, owner: str) -> None:
        """Give the lease back; do nothing when `owner` does not hold it."""
        check_names(owner)
        self._done("delete_item", "held_by = :me", {":me": {"S": owner}}, Key=_address(_LEASE, kind, key))

    def add(
        self, kind: str, key: str, amounts: Mapping[str, int], *, expires_at: float | None = None
    ) -> dict[str, int]:
        """Add to named counters atomically and return all counters of the record, sorted by name.

        Raises OverflowError, and changes nothing, when a counter would leave 64 bits. DynamoDB's limit of 4 KB an
        expression allows some 60 names in one call.
        """
        check_names(*amounts)
        address, ends = _address(_COUNTER, kind, key), _ends(expires_at)
        if not amounts:
            return _amounts(self._live(address) or {})
        for _ in range(_ROUNDS):
            now = self._now()
            try:
                return _amounts(self._increase(address, amounts, now))
            except Refusal as refusal:
                if refusal.code != _FAILED_CONDITION:
                    raise self._error(refusal) from refusal
                if _is_live(refusal.item, now):
                    raise OverflowError("a counter holds 64 bits") from None
            fresh = {_AMOUNT + name: {"N": str(counter_sum(0, amount))} for name, amount in amounts.items()}
            # A new item rather than an update: it forgets the counters and the end of an expired one.
            if self._done("put_item", _IS_FREE, {":now": _number(now)}, Item={**address, **ends, **fresh}):
                return dict(sorted(amounts.items()))
        raise StoreError(
            f"The counters {kind} {key} are created and deleted too often to be added to. Try again."
        )

    def counters(self, kind: str) -> dict[str, dict[str, int]]:
        """Return every live counter record of this kind by key, sorted by key."""
        return {item["sk"]["S"]: _amounts(item) for item in self._query(_COUNTER, kind)}

    def _increase(self, address: _Item, amounts: Mapping[str, int], now: float) -> _Item:
        """Add to counters that live, and return them. Raises Refusal when they do not, or when one would overflow."""
        names: dict[str, str] = {}
        values: _Item = {":now": _number(now)}
        conditions = ["ends_at > :now"]
        for number, (name, amount) in enumerate(amounts.items()):
            least, most = counter_bounds(amount)
            names[f"#n{number}"] = _AMOUNT + name
            values |= {f":a{number}": {"N": str(amount)}}
            values |= {f":l{number}": {"N": str(least)}, f":m{number}": {"N": str(most)}}
            within = f"#n{number} BETWEEN :l{number} AND :m{number}"
            absent = f"attribute_not_exists(#n{number}) OR "
            conditions.append(f"({absent if least <= 0 <= most else ''}{within})")
        answer = self._dynamodb.call(
            "update_item",
            TableName=self._table,
            Key=address,
            UpdateExpression="ADD " + ", ".join(f"#n{number} :a{number}" for number in range(len(amounts))),
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return dict(_part(answer, "Attributes"))

    def _live(self, address: _Item) -> _Item | None:
        item = self._call("get_item", Key=address, ConsistentRead=True).get("Item", {})
        return item if _is_live(item, self._now()) else None

    def _query(self, sort: str, kind: str) -> Iterator[_Item]:
        """Yield the live items of a kind, sorted by key; DynamoDB compares UTF-8 bytes, as Python's order does."""
        check_names(kind)
        question: _Item = {
            "KeyConditionExpression": "pk = :pk",
            "FilterExpression": "ends_at > :now",
            "ExpressionAttributeValues": {":pk": {"S": sort + kind}, **self._at_now()},
            "ConsistentRead": True,
        }
        while True:
            page = self._call("query", **question)
            yield from _part(page, "Items")
            if "LastEvaluatedKey" not in page:
                return
            question["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _done(self, operation: str, condition: str, values: _Item, **arguments: Any) -> bool:
        """Write under a condition; return whether it held."""
        try:
            self._dynamodb.call(
                operation,
                TableName=self._table,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                **arguments,
            )
        except Refusal as refusal:
            if refusal.code == _FAILED_CONDITION:
                return False
            raise self._error(refusal) from refusal
        return True

    def _call(self, operation: str, **arguments: Any) -> _Item:
        try:
            return self._dynamodb.call(operation, TableName=self._table, **arguments)
        except Refusal as refusal:
            raise self._error(refusal) from refusal

    def _error(self, refusal: Refusal) -> StoreError:
        return store_error(refusal, f"The DynamoDB table {self._table}")

    def _at_now(self) -> _Item:
        return {":now": _number(self._now())}


def _address(sort: str, kind: str, key: str) -> _Item:
    check_names(kind, key)
    if max(len(kind.encode()), len(key.encode())) > _LONGEST:
        raise ValueError(f"kinds and keys have at most {_LONGEST} bytes")
    return {"pk": {"S": sort + kind}, "sk": {"S": key}}


def _ends(expires_at: float | None) -> _Item:
    ends = min(max(expiry(expires_at), 0.0), _NEVER)
    ending: _Item = {"ends_at": _number(ends)}
    return ending if ends == _NEVER else {**ending, "purge_at": {"N": str(math.ceil(ends) + _PURGE_AFTER)}}


def _number(value: float) -> _Item:
    return {"N": repr(value)}


def _part(answer: _Item, name: str) -> Any:
    if name not in answer:
        raise StoreError(
            f"DynamoDB's answer lacks its {name}. Try again; if it lasts, look at what stands between."
        )
    return answer[name]


# An item that something else wrote is not there.


def _is_live(item: _Item, now: float) -> bool:
    try:
        return float(item["ends_at"]["N"]) > now
    except (KeyError, ValueError):
        return False


def _content(item: _Item) -> bytes | None:
    content = item.get("content", {}).get("B")
    return None if content is None else bytes(content)


def _amounts(item: _Item) -> dict[str, int]:
    found = {
        name.removeprefix(_AMOUNT): int(Decimal(value["N"]))
        for name, value in item.items()
        if name.startswith(_AMOUNT) and "N" in value
    }
    return dict(sorted(found.items()))
