/* What the theme's own script leaves out for screen readers and keyboards: names for the search dialog, for the bars of code
   blocks and for tables that scroll, and no name twice. The theme adds some of them while the page loads, so they are watched for. */
(() => {
  "use strict";
  const name = (root) => {
    for (const dialog of root.querySelectorAll('[role="dialog"]:not([aria-label])')) dialog.setAttribute("aria-label", "Search");
    document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((nav) => {
      const all = [...document.querySelectorAll(".md-code__nav")];
      nav.setAttribute("aria-label", `Code ${all.indexOf(nav) + 1}`);
      for (const button of nav.querySelectorAll("button:not([aria-label])")) button.setAttribute("aria-label", button.title);
    });
    document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((wrap, i) => {
      wrap.tabIndex = 0;
      wrap.setAttribute("role", "group");
      wrap.setAttribute("aria-label", `Table ${i + 1}`);
    });
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
  const content = document.querySelector(".md-content");
  if (content) new MutationObserver(() => name(document)).observe(content, { childList: true, subtree: true });
})();
