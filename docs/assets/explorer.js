/* The examples page: search, filter, sort and page through every answer, in the reader's own browser. The answers are loaded when
   the reader asks for them, or the address holds a view. Text is only ever set as text. Without this script, or if the data cannot
   be fetched, the page's own table stays. */
(() => {
  "use strict";
  const PAGE = 25;
  const OUTCOMES = ["both right", "fixed", "broken", "both wrong", "unknown"];
  const UNKNOWN = OUTCOMES.indexOf("unknown");

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const field = (label, control) => make("label", { className: "explorer-field" }, make("span", { textContent: label }), control);
  const option = (value, text) => make("option", { value: String(value), textContent: String(text).replaceAll("_", " ") });
  const select = (name, any, values) => make("select", { name }, make("option", { value: "", textContent: any }), ...values.map((value) => option(value, value)));
  const parts = (list) => make("span", { className: "parts" }, ...list.map((part) => make("span", { textContent: part })));

  const start = (root, data) => {
    const n = data.rows;
    const open = (column) => ({ ...column, at: (i) => column.values[column.codes[i]] ?? "" });
    const columns = Object.fromEntries(Object.entries(data.columns).map(([name, column]) => [name, open(column)]));
    const own = data.own.map(open);
    const { outcome } = data;
    const filters = own.filter((column) => column.kind === "filter");
    const shown = own.filter((column) => column.kind !== "filter");
    const texts = own.filter((column) => column.kind === "text");
    const lists = own.filter((column) => column.kind === "list");
    for (const column of lists) column.parts = (i) => (column.at(i) ? column.at(i).split("\n") : []);
    const question = (i) => columns.question.at(i);

    /* What a search looks into, put together when it is first needed. */
    let haystack = null;
    const searched = () => {
      if (!haystack) {
        haystack = new Array(n);
        for (let i = 0; i < n; i += 1) haystack[i] = [question(i), columns.base.at(i), columns.tuned.at(i), ...texts.map((column) => column.at(i))].join("\n").toLowerCase();
      }
      return haystack;
    };

    const orders = { id: ["question number", null], task: ["task", (i) => columns.task.codes[i]], answer: ["right answer", (i) => columns.reference.at(i)] };
    for (const column of own) orders[`by_${column.name}`] = [column.label, column.kind === "text" ? (i) => column.at(i) : column.kind === "list" ? (i) => column.parts(i).length : (i) => column.codes[i]];
    const state = { q: "", task: "", outcome: "", ...Object.fromEntries(filters.map((column) => [`by_${column.name}`, ""])), sort: "id", page: 1 };
    for (const [key, value] of new URLSearchParams(location.search)) if (Object.hasOwn(state, key)) state[key] = key === "page" ? Math.max(1, parseInt(value, 10) || 1) : value;
    if (!Object.hasOwn(orders, state.sort)) state.sort = "id";

    const controls = {
      q: make("input", { type: "search", name: "q", autocomplete: "off", spellcheck: false }),
      task: select("task", "all tasks", columns.task.values),
      outcome: select("outcome", "all outcomes", OUTCOMES),
      ...Object.fromEntries(filters.map((column) => [`by_${column.name}`, select(`by_${column.name}`, "any", column.values)])),
      sort: make("select", { name: "sort" }, ...Object.entries(orders).map(([name, [label]]) => option(name, label))),
    };
    const form = make(
      "form",
      { className: "explorer-form" },
      field("Search", controls.q),
      field("Task", controls.task),
      field("Outcome", controls.outcome),
      ...filters.map((column) => field(column.label, controls[`by_${column.name}`])),
      field("Order", controls.sort),
    );
    form.setAttribute("role", "search");
    form.setAttribute("aria-label", "Answers");
    const count = make("p", { className: "explorer-count" });
    count.setAttribute("role", "status");
    const heads = ["Task", ...shown.map((column) => column.label), "Question", "Right answer", "Base", "Fine-tuned", "Outcome"];
    const body = make("tbody");
    const table = make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { textContent: text, scope: "col" })))),
      body,
    );
    table.dataset.stacks = "";
    const scroll = make("div", { className: "md-typeset__scrollwrap explorer-table", tabIndex: 0 }, table);
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Questions with both models' answers");
    const where = make("span");
    const before = make("button", { type: "button", className: "md-button", textContent: "Previous" });
    const after = make("button", { type: "button", className: "md-button", textContent: "Next" });
    const pager = make("nav", { className: "explorer-pager" }, before, where, after);
    pager.setAttribute("aria-label", "Pages of answers");

    const tried = new Set((root.dataset.tryTasks || "").split(" ").filter(Boolean));
    const subject = shown.find((column) => column.name === root.dataset.tryColumn);
    const tryIt = (i) => {
      if (!subject || !tried.has(columns.task.at(i))) return [];
      const about = new URLSearchParams({ word: subject.at(i), question: question(i) });
      return [" ", make("a", { href: `${root.dataset.try}?${about}`, textContent: "try it", ariaLabel: `Open ${subject.at(i)} in Try it` })];
    };
    const answer = (text, right) =>
      right === null ? make("td", { textContent: text }) : make("td", { className: right ? "right" : "wrong" }, make("span", { className: "mark", textContent: right ? "✓ " : "✗ " }), make("span", { className: "explorer-hidden", textContent: right ? "right: " : "wrong: " }), text);

    const show = (keep) => {
      const query = state.q.trim().toLowerCase();
      const hay = query ? searched() : null;
      const task = columns.task.values.indexOf(state.task);
      const wanted = OUTCOMES.indexOf(state.outcome);
      const chosen = filters.filter((column) => state[`by_${column.name}`]).map((column) => [column.codes, column.values.findIndex((value) => String(value) === state[`by_${column.name}`])]);
      const found = [];
      for (let i = 0; i < n; i += 1) {
        if (state.task && columns.task.codes[i] !== task) continue;
        if (state.outcome && outcome[i] !== wanted) continue;
        if (chosen.some(([codes, code]) => codes[i] !== code)) continue;
        if (hay && !hay[i].includes(query)) continue;
        found.push(i);
      }
      const key = orders[state.sort][1];
      if (key) found.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a - b));
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      state.page = Math.min(state.page, pages);
      const rows = found.slice((state.page - 1) * PAGE, state.page * PAGE).map((i) =>
        make(
          "tr",
          {},
          make("td", { textContent: columns.task.at(i).replaceAll("_", " ") }),
          ...shown.map((column) => (column.kind === "list" ? make("td", {}, parts(column.parts(i))) : make("td", { textContent: column.at(i) }))),
          make("td", {}, question(i), ...tryIt(i)),
          make("td", { textContent: columns.reference.at(i) }),
          answer(columns.base.at(i), outcome[i] === UNKNOWN ? null : outcome[i] === 0 || outcome[i] === 2),
          answer(columns.tuned.at(i), outcome[i] === UNKNOWN ? null : outcome[i] < 2),
          make("td", { textContent: OUTCOMES[outcome[i]] }),
        ),
      );
      for (const row of rows) [...row.cells].forEach((cell, i) => (cell.dataset.label = heads[i]));
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
    return controls.q;
  };

  const root = document.querySelector("[data-explorer]");
  if (root) {
    const load = () =>
      fetch(new URL(root.dataset.explorer, location.href))
        .then((reply) => (reply.ok ? reply.json() : Promise.reject(new Error(`HTTP ${reply.status}`))))
        .then((data) => start(root, data));
    const failed = (error) => root.prepend(make("p", { textContent: `The whole list could not be loaded (${error.message}); this is a sample.` }));
    if (location.search) load().catch(failed);
    else {
      const button = make("button", { type: "button", className: "md-button explorer-open", textContent: "Search and filter all answers" });
      button.addEventListener("click", () => {
        button.disabled = true;
        load().then((search) => search.focus()).catch((error) => { button.remove(); failed(error); });
      });
      root.prepend(button);
    }
  }
})();
