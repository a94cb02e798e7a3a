"""What every `SecretStore` promises."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.ports import GITHUB_TOKEN, SecretStore
from tests.contract.stores import SecretAdapter


def test_a_missing_secret_is_none(secret_store: SecretStore) -> None:
    assert secret_store.load(GITHUB_TOKEN) is None


def test_a_saved_secret_is_loaded_by_any_store_on_the_same_ground(
    secret_store: SecretStore, secret_adapter: SecretAdapter
) -> None:
    secret_store.save(GITHUB_TOKEN, "gho_canary")
    assert secret_store.load(GITHUB_TOKEN) == "gho_canary"
    assert secret_adapter.open().load(GITHUB_TOKEN) == "gho_canary"


def test_save_replaces_the_secret(secret_store: SecretStore) -> None:
    secret_store.save(GITHUB_TOKEN, "a longer old secret")
    secret_store.save(GITHUB_TOKEN, "new")
    assert secret_store.load(GITHUB_TOKEN) == "new"


@pytest.mark.parametrize("secret", ["x", " padded ", "two\nlines", "é日本🦊", "\x00", "s" * 60_000])
def test_any_text_comes_back(secret_store: SecretStore, secret: str) -> None:
    secret_store.save("name", secret)
    assert secret_store.load("name") == secret


@pytest.mark.parametrize("secret", ["", "\n", "token\n", "token\r\n", "\ud800"])
def test_what_is_no_secret_is_refused_and_the_old_one_stays(secret_store: SecretStore, secret: str) -> None:
    secret_store.save("name", "old")
    with pytest.raises(ValueError):  # noqa: PT011 - each adapter has its own words
        secret_store.save("name", secret)
    assert secret_store.load("name") == "old"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", "/etc/passwd", "A", "é", "a\n", "a\x00", "-a", "a" * 65]
)
def test_names_outside_the_alphabet_are_refused(secret_store: SecretStore, name: str) -> None:
    for call in (
        lambda: secret_store.load(name),
        lambda: secret_store.save(name, "secret"),
        lambda: secret_store.delete(name),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - each adapter has its own words
            call()


def test_secrets_are_apart(secret_store: SecretStore) -> None:
    secret_store.save("one", "1")
    secret_store.save("two", "2")
    secret_store.delete("one")
    assert secret_store.load("one") is None
    assert secret_store.load("two") == "2"


def test_a_deleted_secret_is_gone_and_can_come_back(secret_store: SecretStore) -> None:
    secret_store.delete("name")
    secret_store.save("name", "old")
    secret_store.delete("name")
    secret_store.delete("name")
    assert secret_store.load("name") is None
    secret_store.save("name", "new")
    assert secret_store.load("name") == "new"


def test_readers_beside_writers_see_whole_secrets(secret_store: SecretStore) -> None:
    secrets = [letter * 5000 for letter in "abcd"]
    secret_store.save("name", secrets[0])

    def write(secret: str) -> None:
        for _ in range(20):
            secret_store.save("name", secret)

    with ThreadPoolExecutor(5) as threads:
        writers = [threads.submit(write, secret) for secret in secrets]
        seen = {secret_store.load("name") for _ in range(200)}
    for writer in writers:
        writer.result()
    assert seen <= set(secrets)


def test_deleting_beside_saving_never_fails(secret_store: SecretStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        saves = [threads.submit(secret_store.save, "name", "secret") for _ in range(100)]
        deletes = [threads.submit(secret_store.delete, "name") for _ in range(100)]
    for call in saves + deletes:
        call.result()
    secret_store.delete("name")
    assert secret_store.load("name") is None
