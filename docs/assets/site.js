/* What the theme's own script leaves out for screen readers and keyboards: names for the search dialog, for the bars of code
   blocks and for tables that scroll, and no name twice. The theme adds some of them while the page loads, so they are watched for.
   What a table needs to be read on a phone is added here as well, and the choice of one of a page's sections. */
(() => {
  "use strict";
  // Tables of more columns are stacked on phones, each cell with the name of its column.
  const WIDE = 5;
  const NARROW = 3;
  const name = (root) => {
    for (const dialog of root.querySelectorAll('[role="dialog"]:not([aria-label])')) dialog.setAttribute("aria-label", "Search");
    document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((nav) => {
      const all = [...document.querySelectorAll(".md-code__nav")];
      nav.setAttribute("aria-label", `Code ${all.indexOf(nav) + 1}`);
      for (const button of nav.querySelectorAll("button:not([aria-label])")) button.setAttribute("aria-label", button.title);
    });
    document.querySelectorAll(".md-typeset__scrollwrap:not(.explorer-table)").forEach((wrap, i) => {
      const scrolls = wrap.scrollWidth > wrap.clientWidth;
      for (const [key, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", `Table ${i + 1}`]]) {
        if (scrolls) wrap.setAttribute(key, value);
        else wrap.removeAttribute(key);
      }
    });
    for (const table of root.querySelectorAll(".md-typeset table:not([data-stacks])")) {
      const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
      if (heads.length <= (table.closest(".try-it") ? NARROW : WIDE) || table.closest(".try-it-scroll")) continue;
      table.dataset.stacks = "";
      for (const row of table.querySelectorAll("tbody tr")) {
        [...row.cells].forEach((cell, i) => {
          cell.dataset.label = heads[i];
          const value = document.createElement("div"); // one part of the grid, whatever it consists of
          value.append(...cell.childNodes);
          cell.append(value);
        });
      }
    }
  };
  name(document);
  const seen = new Map();
  for (const nav of document.querySelectorAll("nav[aria-label]")) {
    const label = nav.getAttribute("aria-label");
    const key = label.toLowerCase();
    const times = (seen.get(key) ?? 0) + 1;
    seen.set(key, times);
    if (times > 1) nav.setAttribute("aria-label", `${label}, ${times}`);
  }
  // Sections of which a reader sees the chosen one; without this script, and in print, all of them.
  for (const group of document.querySelectorAll("[data-choose]")) {
    const sections = [...group.querySelectorAll("[data-choice]")];
    if (sections.length < 2) continue;
    const select = document.createElement("select");
    sections.forEach((section, i) => select.add(new Option(section.dataset.choice, i)));
    const label = Object.assign(document.createElement("label"), { className: "choose" });
    label.append(group.dataset.choose, select);
    group.prepend(label);
    const show = (chosen) => {
      sections.forEach((section, i) => (section.hidden = i !== chosen));
      select.value = chosen;
    };
    const follow = () => {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      const chosen = sections.findIndex((section) => section.contains(target));
      if (chosen < 0) return;
      show(chosen);
      target.scrollIntoView();
    };
    show(0);
    follow();
    select.addEventListener("change", () => show(Number(select.value)));
    window.addEventListener("hashchange", follow);
    window.addEventListener("beforeprint", () => sections.forEach((section) => (section.hidden = false)));
    window.addEventListener("afterprint", () => show(Number(select.value)));
  }
  const content = document.querySelector(".md-content");
  if (content) new MutationObserver(() => name(document)).observe(content, { childList: true, subtree: true });
  for (const event of ["resize", "change", "toggle"]) window.addEventListener(event, () => name(document), true);
})();
