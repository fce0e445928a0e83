"use strict";
(function () {
  const all = (selector, where) => Array.from((where || document).querySelectorAll(selector));
  const root = document.documentElement;
  const form = document.getElementById("filters");
  const paper = document.getElementById("paper");
  const label = document.getElementById("label");
  const words = document.getElementById("words");
  const told = document.getElementById("told");
  const items = all("[data-item]");
  let openedByFilter = [];

  function key(cell) {
    const text = (cell ? cell.dataset.sort || cell.textContent : "").trim();
    const number = text.replace(/(\d),(?=\d{3}(?!\d))/g, "$1").replace(/^[(~<>\s]+/, "")
      .match(/^[-+]?\d+(\.\d+)?(e[-+]?\d+)?/);
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

  const next = { none: "ascending", ascending: "descending", descending: "none" };

  function sort(button) {
    const head = button.closest("th");
    const index = Array.from(head.parentNode.children).indexOf(head);
    const order = next[head.getAttribute("aria-sort")];
    all("th", head.parentNode).forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", order);
    const body = head.closest("table").tBodies[0];
    const numeric = head.classList.contains("n");
    const sign = order === "descending" ? -1 : 1;
    Array.from(body.rows)
      .map((row) => ({ row: row, place: Number(row.dataset.place), key: key(row.cells[index]) }))
      .sort((a, b) =>
        (order === "none" ? 0 : compare(a.key, b.key, numeric, sign)) || a.place - b.place)
      .forEach((one) => body.appendChild(one.row));
  }

  function sortable(table) {
    Array.from(table.tBodies[0].rows).forEach((row, place) => { row.dataset.place = place; });
    all("thead th", table).forEach((head) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => sort(button));
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
    });
  }

  function fits(element, wanted) {
    const labels = (element.dataset.labels || "").split("|");
    return (!wanted.paper || element.dataset.paper === wanted.paper) &&
      (!wanted.label || labels.includes(wanted.label)) &&
      (!wanted.words || element.textContent.toLowerCase().includes(wanted.words));
  }

  function counted(kind, shown) {
    const number = shown.filter((item) => item.dataset.item === kind).length;
    return number + " " + (kind === "row" ? "table row" : kind) + (number === 1 ? "" : "s");
  }

  function tell(any) {
    const shown = items.filter((item) => !item.hidden);
    told.textContent = !any ? "" : !shown.length ? "Nothing matches; Clear shows everything again." :
      ["value", "row", "run"].map((kind) => counted(kind, shown)).join(", ") + " match";
  }

  function filter() {
    const wanted = {
      paper: paper.value, label: label.value, words: words.value.trim().toLowerCase(),
    };
    const any = Boolean(wanted.paper || wanted.label || wanted.words);
    items.forEach((item) => { item.hidden = !fits(item, wanted); });
    all("[data-group]").forEach((group) => {
      group.hidden = any && !all("[data-item]", group).some((item) => !item.hidden);
    });
    openedByFilter.forEach((group) => { group.open = false; });
    openedByFilter = any ? all("details[data-group]:not([open]):not([hidden])") : [];
    openedByFilter.forEach((group) => { group.open = true; });
    tell(any);
    measure();
  }

  // Shows an element that a filter or a closed list hides; returns whether one did.
  function reveal(element) {
    const hidden = Boolean(element.closest("[hidden]"));
    if (hidden) {
      form.reset();
      filter();
    }
    let opened = hidden;
    for (let place = element; place; place = place.parentElement) {
      if (place.tagName === "DETAILS") {
        opened = opened || !place.open;
        openedByFilter = openedByFilter.filter((group) => group !== place);
        place.open = true;
      }
    }
    return opened;
  }

  function target(hash) {
    try {
      return hash.length > 1 ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
    } catch (error) {
      return null;
    }
  }

  // The browser scrolls by itself, and back to where one was, except to what it could not see.
  function arrive() {
    const element = target(location.hash);
    if (element && reveal(element)) element.scrollIntoView();
  }

  function measure() {
    const boxes = all(".scroll");
    const wide = boxes.map((box) => box.scrollWidth > box.clientWidth + 1);
    boxes.forEach((box, place) => {
      ["tabindex", "role", "aria-label"].forEach((name) => box.removeAttribute(name));
      if (!wide[place]) return;
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", box.dataset.name);
    });
    const tools = document.querySelector(".tools");
    const sticky = getComputedStyle(tools).position === "sticky";
    root.style.scrollPaddingTop = (sticky ? tools.offsetHeight : 0) + 12 + "px";
  }

  root.classList.add("js");
  all(".scroll > table").forEach(sortable);
  [paper, label].forEach((choice) => choice.addEventListener("change", filter));
  words.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = getComputedStyle(root).colorScheme === "dark" ? "light" : "dark";
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    const element = link && target(link.getAttribute("href"));
    if (element) reveal(element);
  });
  document.addEventListener("toggle", measure, true);
  addEventListener("resize", measure);
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open]):not(.run):not(.run details):not(.kinds)");
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
  addEventListener("hashchange", arrive);
  filter();
  arrive();
})();
