/* The examples page: search, filter, sort and page through every answer, in the reader's own browser. Text is only ever set as
   text. Without this script, or if the data cannot be fetched, the page's own table stays. */
(() => {
  "use strict";
  const PAGE = 25;
  const OUTCOMES = ["both right", "fixed", "broken", "both wrong"];
  const SORTS = ["id", "task", "word", "length", "tokens", "answer"];

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const field = (label, control) => make("label", { className: "explorer-field" }, make("span", { textContent: label }), control);
  const select = (name, any, values) => {
    const control = make("select", { name }, make("option", { value: "", textContent: any }));
    for (const value of values) control.append(make("option", { value: String(value), textContent: String(value).replaceAll("_", " ") }));
    return control;
  };
  const tokens = (parts) => {
    const word = make("span", { className: "word" });
    for (const part of parts) word.append(make("span", { textContent: part }));
    return word;
  };

  const start = (root, data) => {
    const n = data.word.length;
    const length = data.word.map((word) => [...word].length);
    const haystack = data.word.map((word, i) => `${word}\n${data.question[i]}\n${data.base[i]}\n${data.tuned[i]}`.toLowerCase());
    const state = { q: "", task: "", outcome: "", length: "", sort: "id", page: 1 };
    for (const [key, value] of new URLSearchParams(location.search)) if (key in state) state[key] = key === "page" ? Math.max(1, parseInt(value, 10) || 1) : value;
    if (!SORTS.includes(state.sort)) state.sort = "id";

    const search = make("input", { type: "search", name: "q", autocomplete: "off", spellcheck: false });
    const lengths = [...new Set(length)].sort((a, b) => a - b);
    const controls = {
      q: search,
      task: select("task", "all tasks", data.tasks),
      outcome: select("outcome", "all outcomes", OUTCOMES),
      length: select("length", "any length", lengths),
      sort: select("sort", "", SORTS),
    };
    controls.sort.firstChild.remove();
    const form = make(
      "form",
      { className: "explorer-form" },
      field("Search", controls.q),
      field("Task", controls.task),
      field("Outcome", controls.outcome),
      field("Letters", controls.length),
      field("Order", controls.sort),
    );
    form.setAttribute("role", "search");
    form.setAttribute("aria-label", "Answers");
    const count = make("p", { className: "explorer-count" });
    count.setAttribute("role", "status");
    const heads = ["Task", "Word, in its tokens", "Question", "Right answer", "Base", "Fine-tuned", "Outcome"];
    const body = make("tbody");
    const table = make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { textContent: text, scope: "col" })))),
      body,
    );
    const scroll = make("div", { className: "md-typeset__scrollwrap explorer-table", tabIndex: 0 }, table);
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Questions with both models' answers");
    const where = make("span");
    const before = make("button", { type: "button", className: "md-button", textContent: "Previous" });
    const after = make("button", { type: "button", className: "md-button", textContent: "Next" });
    const pager = make("nav", { className: "explorer-pager" }, before, where, after);
    pager.setAttribute("aria-label", "Pages of answers");

    const tried = new Set((root.dataset.tryTasks || "").split(" ").filter(Boolean));
    const tryIt = (i) => {
      if (!tried.has(data.tasks[data.task[i]])) return [];
      const about = new URLSearchParams({ word: data.word[i], question: data.question[i] });
      return [" ", make("a", { href: `${root.dataset.try}?${about}`, textContent: "try it", ariaLabel: `Open ${data.word[i]} in Try it` })];
    };
    const answer = (text, right) =>
      make("td", { className: right ? "right" : "wrong" }, make("span", { className: "mark", textContent: right ? "✓ " : "✗ " }), make("span", { className: "explorer-hidden", textContent: right ? "right: " : "wrong: " }), text);

    const keys = {
      id: null,
      task: (i) => data.task[i],
      word: (i) => data.word[i],
      length: (i) => length[i],
      tokens: (i) => data.tokens[i].length,
      answer: (i) => data.reference[i],
    };

    const show = (keep) => {
      const query = state.q.trim().toLowerCase();
      const task = data.tasks.indexOf(state.task);
      const outcome = OUTCOMES.indexOf(state.outcome);
      const wanted = parseInt(state.length, 10);
      const found = [];
      for (let i = 0; i < n; i += 1) {
        if (state.task && data.task[i] !== task) continue;
        if (state.outcome && data.outcome[i] !== outcome) continue;
        if (state.length && length[i] !== wanted) continue;
        if (query && !haystack[i].includes(query)) continue;
        found.push(i);
      }
      const key = keys[state.sort];
      if (key) found.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a - b));
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      state.page = Math.min(state.page, pages);
      const rows = found.slice((state.page - 1) * PAGE, state.page * PAGE).map((i) =>
        make(
          "tr",
          {},
          make("td", { textContent: data.tasks[data.task[i]].replaceAll("_", " ") }),
          make("td", {}, tokens(data.tokens[i]), ...tryIt(i)),
          make("td", { textContent: data.question[i] }),
          make("td", { textContent: data.reference[i] }),
          answer(data.base[i], data.outcome[i] === 0 || data.outcome[i] === 2),
          answer(data.tuned[i], data.outcome[i] < 2),
          make("td", { textContent: OUTCOMES[data.outcome[i]] }),
        ),
      );
      body.replaceChildren(...rows);
      count.textContent = `${found.length.toLocaleString("en")} of ${n.toLocaleString("en")} questions`;
      where.textContent = `Page ${state.page} of ${pages}`;
      before.disabled = state.page === 1;
      after.disabled = state.page === pages;
      const parameters = new URLSearchParams();
      for (const [name, value] of Object.entries(state)) if (value && !(name === "page" && value === 1) && !(name === "sort" && value === "id")) parameters.set(name, value);
      if (!keep) history.replaceState(null, "", `${location.pathname}${parameters.size ? `?${parameters}` : ""}${location.hash}`);
    };

    for (const [name, control] of Object.entries(controls)) {
      control.value = state[name];
      if (control.value !== state[name]) state[name] = control.value;
      control.addEventListener("input", () => {
        state[name] = control.value;
        state.page = 1;
        show();
      });
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    before.addEventListener("click", () => { state.page -= 1; show(); });
    after.addEventListener("click", () => { state.page += 1; show(); });
    root.replaceChildren(form, count, scroll, pager);
    show(true);
    root.dataset.ready = "yes";
  };

  const root = document.querySelector("[data-explorer]");
  if (root) {
    fetch(new URL(root.dataset.explorer, location.href))
      .then((reply) => (reply.ok ? reply.json() : Promise.reject(new Error(`HTTP ${reply.status}`))))
      .then((data) => start(root, data))
      .catch((error) => {
        root.prepend(make("p", { textContent: `The whole list could not be loaded (${error.message}); this is a sample.` }));
      });
  }
})();
