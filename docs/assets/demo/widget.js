/* Try it: ask both models about a word. Nothing is loaded until the reader asks; what models write is only ever set as text. */
(() => {
  "use strict";
  const here = document.currentScript.src;
  const MODELS = { base: "Base model", finetuned: "Fine-tuned model" };

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const attributes = (element, values) => {
    for (const [name, value] of Object.entries(values)) element.setAttribute(name, value);
    return element;
  };
  const hidden = (text) => make("span", { className: "try-it-hidden", textContent: text });
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)}\u00a0MB`;
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}\u00a0%`;
  const mark = (right) => [
    attributes(make("span", { className: "try-it-mark", textContent: right ? "✓" : "✗" }), { "aria-hidden": "true" }),
    hidden(right ? "right: " : "wrong: "),
  ];
  const code = (text) => make("p", { className: "try-it-code" }, "One line of code: ", make("code", { textContent: text }));
  const heading = (level, text) => make(`h${level}`, { textContent: text });
  const scrolling = (label, table) =>
    attributes(make("div", { className: "try-it-scroll", tabIndex: 0 }, table), { role: "region", "aria-label": label });

  function start(root) {
    const address = new URL(root.dataset.tryIt, location.href).href;
    const level = Number(root.dataset.level || 2);
    const wanted = new URLSearchParams(root.dataset.linked ? location.search : "");
    const status = attributes(make("p", { className: "try-it-status" }), { role: "status" });
    const say = (text, wrong = false) => {
      status.textContent = text;
      status.classList.toggle("try-it-wrong", wrong);
    };
    if (location.protocol === "file:") {
      root.prepend(make("p", {}, "Opened as a file, this page may not load the models. Run ", make("code", { textContent: "python -m http.server" }), " in the site's folder, and open http://localhost:8000/ instead."));
      return;
    }
    if (!window.Worker || !window.ReadableStream || !window.MessageChannel) {
      root.prepend(make("p", { textContent: "This browser cannot run the models. What they answered when they were evaluated stands here." }));
      return;
    }
    const loaded = attributes(make("progress", { max: 1, value: 0, hidden: true }), { "aria-label": "Loading" });
    const button = make("button", { type: "button", className: "md-button md-button--primary try-it-load" });
    button.textContent = `Ask both models (loads ${megabytes(Number(root.dataset.bytes))})`;
    const fallback = [...root.childNodes];
    const first = make("div", { className: "try-it-begin" }, button, loaded);
    root.prepend(first, status);

    let workers = {};
    const stop = () => {
      for (const worker of Object.values(workers)) worker.terminate();
      workers = {};
    };
    const fail = (message) => {
      stop();
      button.disabled = false;
      loaded.hidden = true;
      say(message, true);
    };

    button.addEventListener("click", () => {
      button.disabled = true;
      loaded.hidden = false;
      say("Loading …");
      const { port1, port2 } = new MessageChannel();
      const waiting = new Set(Object.keys(MODELS));
      let told;
      try {
        for (const name of waiting) {
          workers[name] = new Worker(new URL("worker.js", here), { type: "module", name });
          workers[name].onerror = (event) => {
            event.preventDefault();
            fail("This browser could not start the models: it has to know module workers, as browsers since 2023 do.");
          };
          workers[name].onmessage = ({ data }) => {
            if (data.type === "progress") {
              loaded.value = data.loaded / data.total;
              say(`Loading: ${megabytes(data.loaded)} of ${megabytes(data.total)}`);
            } else if (data.type === "failed") fail(`The models could not be loaded. ${data.message}`);
            else if (data.type === "ready") {
              waiting.delete(name);
              if (data.questions) told = data;
              if (waiting.size) return;
              for (const node of [...fallback, first]) node.remove();
              say("");
              ask(root, level, workers, told, say, wanted);
            }
          };
        }
      } catch (error) {
        fail(`This browser could not start the models: ${error.message}`);
        return;
      }
      workers.base.postMessage({ type: "load", address, port: port1 }, [port1]);
      workers.finetuned.postMessage({ type: "join", port: port2 }, [port2]);
    });
    root.dataset.state = "waiting";
  }

  function ask(root, level, workers, { questions, lengths, word: begin, letter: counted, recorded }, say, wanted) {
    const fill = (template, values) => template.replace(/\{(word|letter|ordinal)\}/g, (_, name) => values[name]);
    // A question of the record names its letter.
    const asksFor = (letter) => fill(questions.count.template, { word: wanted.get("word"), letter }) === wanted.get("question");
    const named = questions.count && [...(wanted.get("word") || "")].find(asksFor);
    const state = { round: 0, word: "", letter: named || counted || "" };
    const field = attributes(
      make("input", { type: "text", value: wanted.get("word") || begin, maxLength: 200, autocomplete: "off", spellcheck: false }),
      { autocapitalize: "none", enterkeyhint: "go" },
    );
    const form = make(
      "form",
      { className: "try-it-form" },
      make("label", {}, make("span", { textContent: "A word" }), field),
      make("button", { type: "submit", className: "md-button md-button--primary", textContent: "Ask" }),
    );
    const out = make("div", { className: "try-it-out" });
    root.append(form, out);
    root.querySelector(".try-it-status").after(form);

    const onRecord = (kind, about) => {
      const { word, about: abouts, base, finetuned } = recorded[kind] || { word: [] };
      const i = word.findIndex((known, n) => known === state.word && (about === undefined || String(abouts[n]) === String(about)));
      return i < 0 ? null : { base: base[i], finetuned: finetuned[i] };
    };
    const record = (found, name) => (found ? make("span", { className: "try-it-recorded", textContent: ` on record: ${found[name] || "nothing"}` }) : null);

    let places = {};
    let open = 0;
    const send = (kind, values, names = Object.keys(MODELS)) => {
      root.dataset.state = "asking";
      for (const name of names) {
        open += 1;
        workers[name].postMessage({ type: "ask", round: state.round, id: open, kind, values: { word: state.word, ...values } });
      }
    };

    function spelling() {
      const rows = Object.entries(MODELS).map(([name, label]) => {
        places[`spelling ${name}`] = make("td", { className: "try-it-letters", textContent: "…" });
        return make("tr", {}, attributes(make("th", { textContent: label }), { scope: "row" }), places[`spelling ${name}`]);
      });
      out.append(
        heading(level, "How it is spelled"),
        make("table", { className: "try-it-table" }, make("tbody", {}, ...rows)),
        code(`[...${JSON.stringify(state.word)}].join(" ")  →  ${[...state.word].join(" ")}`),
      );
      send("spelling", {});
    }

    function counting() {
      const letters = [...new Set(state.word)].filter((letter) => letter.trim());
      if (!letters.includes(state.letter)) [state.letter] = letters;
      const group = make("fieldset", { className: "try-it-choice" }, make("legend", { textContent: "Letter" }));
      for (const letter of letters) {
        const radio = make("input", { type: "radio", name: `letter-${root.id}`, value: letter, checked: letter === state.letter });
        radio.addEventListener("change", () => {
          state.letter = letter;
          count(letter);
        });
        group.append(make("label", {}, radio, make("span", { textContent: letter })));
      }
      places.count = make("div", {});
      out.append(heading(level, "How many of a letter"), group, places.count);
      count(state.letter);
    }

    function count(letter) {
      const truth = [...state.word].filter((each) => each === letter).length;
      const rows = questions.count.candidates.map((candidate) => {
        const right = candidate === String(truth);
        const cells = Object.keys(MODELS).map((name) => (places[`count ${name} ${candidate}`] = make("td", { className: "try-it-share" })));
        const label = make("th", {}, candidate, right ? make("span", { className: "try-it-true", textContent: " true" }) : null);
        return make("tr", { className: right ? "try-it-right-row" : "" }, attributes(label, { scope: "row" }), ...cells);
      });
      const head = ["Count", ...Object.values(MODELS)].map((text) => attributes(make("th", { textContent: text }), { scope: "col" }));
      const answers = Object.entries(MODELS).map(([name, label]) => (places[`count ${name}`] = make("li", { textContent: `${label}: …` })));
      places.letter = letter;
      places.truth = truth;
      places.count.replaceChildren(
        make("ul", { className: "try-it-answers" }, ...answers),
        make("table", { className: "try-it-table try-it-bars" }, make("caption", { textContent: "Probability of each count, of those that could be chosen" }), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)),
        code(`[...${JSON.stringify(state.word)}].filter((c) => c === ${JSON.stringify(letter)}).length  →  ${truth}`),
      );
      send("count", { letter });
    }

    function positions() {
      const letters = [...state.word];
      const asked = letters.map((letter, i) => ({ letter, position: i + 1, ordinal: questions.position.ordinals[i + 1] })).filter(({ ordinal }) => ordinal);
      const head = asked.map(({ position }) => attributes(make("th", { textContent: position }), { scope: "col" }));
      const row = (label, cells) => make("tr", {}, attributes(make("th", { textContent: label }), { scope: "row" }), ...cells);
      const rows = Object.entries(MODELS).map(([name, label]) => row(label, asked.map(({ position }) => (places[`position ${name} ${position}`] = make("td", { textContent: "…" })))));
      const table = make(
        "table",
        { className: "try-it-table try-it-grid" },
        make("thead", {}, make("tr", {}, attributes(make("th", { textContent: "Position" }), { scope: "col" }), ...head)),
        make("tbody", {}, row("The word", asked.map(({ letter }) => make("td", { textContent: letter }))), ...rows),
      );
      const most = Math.max(...Object.keys(questions.position.ordinals).map(Number));
      out.append(heading(level, "Which letter stands where"), scrolling("Letters by position", table));
      const notes = [];
      if (letters.length > asked.length) notes.push(`The study asks up to position ${most}.`);
      if (asked.some(({ position }) => onRecord("position", position))) notes.push("A dot marks a question of the test set; what was answered then stands on it.");
      if (notes.length) out.append(make("p", { className: "try-it-note", textContent: notes.join(" ") }));
      out.append(code(`${JSON.stringify(state.word)}[0]  →  ${letters[0]}`));
      for (const { position, ordinal } of asked) send("position", { position, ordinal });
    }

    const show = {
      tokens({ pieces }) {
        places.tokens.replaceChildren(...pieces.map((piece) => make("span", { textContent: piece })));
        places.tokens.setAttribute("aria-label", `${state.word} in its tokens: ${pieces.join(", ")}`);
        places.cut.textContent = pieces.length === 1 ? "To the models this is one token:" : `To the models this is ${pieces.length} tokens:`;
      },
      spelling(name, { answer, done }) {
        const cell = places[`spelling ${name}`];
        const right = answer === state.word;
        cell.replaceChildren(...(done ? mark(right) : []), [...answer].join(" ") || (done ? "no letters" : "…"));
        cell.classList.toggle("try-it-good", Boolean(done) && right);
        if (done) cell.dataset.answer = answer;
        const found = done && onRecord("spelling");
        if (found) cell.append(record({ base: [...found.base].join(" "), finetuned: [...found.finetuned].join(" ") }, name));
      },
      count(name, { answer, scores, values }) {
        if (values.letter !== places.letter) return;
        const best = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - best));
        const sum = weights.reduce((total, weight) => total + weight, 0);
        questions.count.candidates.forEach((candidate, i) => {
          const bar = attributes(make("span", { className: `try-it-bar try-it-bar--${name}` }), { "aria-hidden": "true" });
          bar.style.width = `${(100 * weights[i]) / sum}%`;
          places[`count ${name} ${candidate}`].replaceChildren(make("span", { className: "try-it-track" }, bar), make("span", { textContent: percent(weights[i] / sum) }));
        });
        const found = onRecord("count", values.letter);
        places[`count ${name}`].dataset.answer = answer;
        const item = make("strong", { textContent: answer });
        places[`count ${name}`].replaceChildren(`${MODELS[name]}: `, ...mark(answer === String(places.truth)), item, ...[record(found, name)].filter(Boolean));
      },
      position(name, { answer, values }) {
        const cell = places[`position ${name} ${values.position}`];
        const right = answer === [...state.word][values.position - 1];
        cell.replaceChildren(...mark(right), answer);
        Object.assign(cell.dataset, { answer, position: values.position });
        cell.className = right ? "try-it-good" : "try-it-bad";
        const found = onRecord("position", values.position);
        if (found) {
          cell.classList.add("try-it-known");
          cell.title = `on record: ${found[name]}`;
          cell.append(hidden(`, on record: ${found[name]}`));
        }
      },
    };

    for (const [name, worker] of Object.entries(workers)) {
      worker.onmessage = ({ data }) => {
        if (data.type !== "answer" || data.round !== state.round) return;
        if (data.error) {
          say(`${MODELS[name]}: ${data.error}`, true);
          for (const [key, place] of Object.entries(places)) {
            if (key.startsWith(`${data.kind} ${name}`)) place.textContent = place.textContent.replace(/…$/, "not asked");
          }
        } else if (data.kind === "tokens") show.tokens(data);
        else show[data.kind](name, data);
        if (data.done !== false) open -= 1;
        root.dataset.state = open ? "asking" : "done";
        if (!open && !status().classList.contains("try-it-wrong")) say("Both models have answered.");
      };
    }
    const status = () => root.querySelector(".try-it-status");

    function run() {
      const word = field.value.trim();
      if (!word) {
        say("Type a word first.", true);
        field.focus();
        return;
      }
      state.round += 1;
      state.word = word;
      open = 0;
      places = {};
      say("Asking both models …");
      const [least, most] = lengths;
      places.cut = make("p", { textContent: "…" });
      places.tokens = attributes(make("p", { className: "tokens try-it-tokens" }), { role: "img", "aria-label": word });
      out.replaceChildren(places.cut, places.tokens);
      const length = [...word].length;
      if (!/^[a-z]+$/.test(word) || length < least || length > most) {
        out.append(make("p", { className: "try-it-note", textContent: `The study asked about words of ${least} to ${most} letters a to z in lower case; this is something else.` }));
      }
      send("tokens", {}, ["base"]);
      if (questions.spelling) spelling();
      if (questions.count) counting();
      if (questions.position) positions();
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run();
    });
    run();
    if (wanted.has("word")) field.focus();
  }

  document.querySelectorAll("[data-try-it]").forEach((root, i) => {
    root.id ||= `try-it-${i + 1}`;
    start(root);
  });
})();
