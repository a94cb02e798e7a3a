"use strict";
// Looks again every so many seconds and puts the new <main> in place: no reload, so nobody loses their place on the page.
(() => {
  const every = Number(document.currentScript.dataset.every) * 1000;
  const kept = "details[open], .scroll";

  const isBusy = () => document.hidden || document.querySelector(".pending:hover, main form :focus, main pre:focus") !== null
    || String(document.getSelection()) !== "";

  const replace = (next) => {
    const old = document.querySelector("main");
    const focused = document.activeElement && old.contains(document.activeElement) ? document.activeElement.id : "";
    const was = [...old.querySelectorAll(kept)].filter((each) => each.id).map((each) => [each.id, each.scrollLeft]);
    old.replaceWith(document.adoptNode(next.querySelector("main")));
    for (const [id, left] of was) {
      const same = document.getElementById(id);
      if (same !== null) {
        if (same.tagName === "DETAILS") same.open = true;
        same.scrollLeft = left;
      }
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    const [said, news] = [document.getElementById("news"), next.getElementById("news")];
    if (news !== null && said.textContent !== news.textContent) said.textContent = news.textContent;
    document.title = next.title;
  };

  const look = async () => {
    if (!isBusy()) {
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (next.querySelector("main") !== null) replace(next);
        if (next.querySelector("script[data-every]") === null) return;
      } catch {
        // The gateway is away; it may come back.
      }
    }
    setTimeout(look, every);
  };
  setTimeout(look, every);
})();
