"use strict";
(function () {
  const all = (selector, where) => Array.from((where || document).querySelectorAll(selector));
  const paper = document.getElementById("paper");
  const label = document.getElementById("label");
  const words = document.getElementById("words");
  const told = document.getElementById("told");

  function key(cell) {
    const text = (cell ? cell.dataset.sort || cell.textContent : "").trim();
    const number = text.replace(/[(,~<>]/g, "").match(/^[-+]?\d+(\.\d+)?/);
    return { text: text, number: number ? parseFloat(number[0]) : NaN };
  }

  function compare(a, b, numeric, sign) {
    if (numeric) {
      const none = Number.isNaN(a.number) - Number.isNaN(b.number);
      if (none) return none;
      if (!Number.isNaN(a.number)) return sign * (a.number - b.number);
    }
    return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  }

  function sort(button) {
    const head = button.closest("th");
    const index = Array.from(head.parentNode.children).indexOf(head);
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    all("th", head.parentNode).forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const numeric = head.classList.contains("n");
    Array.from(body.rows)
      .map((row, place) => ({ row: row, place: place, key: key(row.cells[index]) }))
      .sort((a, b) => compare(a.key, b.key, numeric, sign) || a.place - b.place)
      .forEach((one) => body.appendChild(one.row));
  }

  function fits(element, wanted) {
    const labels = (element.dataset.labels || "").split("|");
    return (!wanted.paper || element.dataset.paper === wanted.paper) &&
      (!wanted.label || labels.includes(wanted.label)) &&
      (!wanted.words || element.textContent.toLowerCase().includes(wanted.words));
  }

  function filter() {
    const wanted = {
      paper: paper.value, label: label.value, words: words.value.trim().toLowerCase(),
    };
    let shown = 0;
    const items = all("[data-item]");
    items.forEach((item) => {
      item.hidden = !fits(item, wanted);
      shown += item.hidden ? 0 : 1;
    });
    all("[data-group]").forEach((group) => {
      group.hidden = !all("[data-item]", group).some((item) => !item.hidden);
    });
    const any = wanted.paper || wanted.label || wanted.words;
    told.textContent = any ? shown + " of " + items.length + " rows" : "";
  }

  function open() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let place = target; place; place = place.parentElement) {
      if (place.tagName === "DETAILS") place.open = true;
    }
    target.scrollIntoView();
  }

  all("th button").forEach((button) => button.addEventListener("click", () => sort(button)));
  [paper, label].forEach((choice) => choice.addEventListener("change", filter));
  words.addEventListener("input", filter);
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("filters").addEventListener("reset", () => setTimeout(filter));
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
  addEventListener("hashchange", open);
  filter();
  open();
})();
