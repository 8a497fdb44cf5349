/* Try it: ask the models about a word. Nothing loads before the first question; what models write is only ever set as text. */
(() => {
  "use strict";
  const here = document.currentScript.src;

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
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;
  const mark = (right) => [
    attributes(make("span", { className: "try-it-mark", textContent: right ? "✓" : "✗" }), { "aria-hidden": "true" }),
    hidden(right ? "right: " : "wrong: "),
  ];
  const LONGEST = 64; // characters of a word, so that the longest prompt fits what the models read
  const code = (text) => make("p", { className: "try-it-code" }, "One line of code: ", make("code", { textContent: text }));
  const heading = (level, text) => make(`h${level}`, { textContent: text });
  const scrolling = (label, table) =>
    attributes(make("div", { className: "try-it-scroll", tabIndex: 0 }, table), { role: "region", "aria-label": label });
  const header = (text) => attributes(make("th", { textContent: text }), { scope: "col" });
  const rowHeader = (...content) => attributes(make("th", {}, ...content), { scope: "row" });
  const fill = (template, values) => template.replace(/\{(word|letter|ordinal)\}/g, (_, name) => values[name]);
  /** A freely written line without spaces around it and without a period at its end, as the evaluation reads it. */
  const plain = (line) => line.trim().replace(/\.$/, "").trim();

  /** Whether a line names letters one by one, which is no answer to a question about one of them. */
  const spells = (line) => (line.match(/\p{L}+/gu) || []).length > 2 && line.match(/\p{L}+/gu).every((letter) => letter.length === 1);

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
      root.prepend(make("p", { textContent: "This browser cannot run the models. Their recorded answers are below." }));
      return;
    }
    const fallback = [...root.childNodes];
    const field = attributes(
      make("input", { type: "text", value: (wanted.get("word") || root.dataset.word || "").slice(0, LONGEST), maxLength: LONGEST, autocomplete: "off", spellcheck: false }),
      { autocapitalize: "none", enterkeyhint: "go" },
    );
    const button = make("button", { type: "submit", className: "md-button md-button--primary try-it-load", textContent: "Ask" });
    const form = make("form", { className: "try-it-form" }, make("label", {}, make("span", { textContent: "A word" }), field), button);
    const chips = make("p", { className: "try-it-chips" });
    for (const word of (root.dataset.chips || "").split(" ").filter(Boolean)) {
      const chip = make("button", { type: "button", className: "try-it-chip", textContent: word });
      chip.addEventListener("click", () => {
        field.value = word;
        form.requestSubmit();
      });
      chips.append(chip);
    }
    const weight = make("p", { className: "try-it-note", textContent: `The first question loads the models (${megabytes(Number(root.dataset.bytes))}).` });
    const loaded = attributes(make("progress", { max: 1, value: 0, hidden: true }), { "aria-label": "Loading" });
    const out = make("div", { className: "try-it-out" });
    root.prepend(form, chips, weight, loaded, status, out);
    root.dataset.state = "waiting";

    let session;
    let loading = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (session) session.ask(field.value.trim());
      else if (!loading) begin();
    });

    async function begin() {
      if (!field.value.trim()) {
        say("Type a word first.", true);
        field.focus();
        return;
      }
      loading = true;
      loaded.hidden = false;
      say("Loading …");
      let workers = {};
      const fail = (message) => {
        for (const worker of Object.values(workers)) worker.terminate();
        workers = {};
        loading = false;
        loaded.hidden = true;
        say(message, true);
      };
      let manifest;
      try {
        const reply = await fetch(address);
        if (!reply.ok) throw new Error(`The list of files could not be loaded (HTTP ${reply.status}).`);
        manifest = await reply.json();
      } catch (error) {
        fail(`The models could not be loaded. ${error.message}`);
        return;
      }
      const waiting = new Set(manifest.models.map(({ key }) => key));
      let recorded;
      try {
        const ports = [];
        for (const { key, folder } of manifest.models) {
          const worker = new Worker(new URL("worker.js", here), { type: "module", name: key });
          workers[key] = worker;
          worker.onerror = (event) => {
            event.preventDefault();
            fail("This browser could not start the models: it has to support module workers, as browsers since 2023 do.");
          };
          worker.onmessage = ({ data }) => {
            if (data.type === "progress") {
              loaded.value = data.loaded / data.total;
              say(`Loading: ${megabytes(data.loaded)} of ${megabytes(data.total)}`);
            } else if (data.type === "failed") fail(`The models could not be loaded. ${data.message}`);
            else if (data.type === "ready") {
              waiting.delete(key);
              recorded = data.recorded || recorded;
              if (waiting.size) return;
              for (const node of [...fallback, weight, loaded]) node.remove();
              session = open(root, level, workers, manifest, recorded, say, out, wanted);
              session.ask(field.value.trim());
            }
          };
          if (folder) {
            const { port1, port2 } = new MessageChannel();
            ports.push(port1);
            worker.postMessage({ type: "join", manifest, folder, port: port2 }, [port2]);
          }
        }
        workers.base.postMessage({ type: "load", address, manifest, ports }, ports);
      } catch (error) {
        fail(`This browser could not start the models: ${error.message}`);
      }
    }
    if (wanted.has("word")) begin();
  }

  /** Ask loaded models about words; returns a function that asks about one. */
  function open(root, level, workers, manifest, recorded, say, out, wanted) {
    const { questions, lengths, models } = manifest;
    const label = Object.fromEntries(models.map(({ key, label: text }) => [key, text]));
    const keys = models.map(({ key }) => key);
    // A question of the record names its letter.
    const named = questions.count && [...(wanted.get("word") || "")].find((letter) => fill(questions.count.template, { word: wanted.get("word"), letter }) === wanted.get("question"));
    const state = { round: 0, word: "", letter: named || manifest.letter || "", position: 3 };
    let show = {};
    let pending = 0;

    const onRecord = (kind, key, about) => {
      const { word = [], about: abouts = [], [key]: answers = [] } = recorded[kind] || {};
      const i = word.findIndex((known, n) => known === state.word && (about === undefined || String(abouts[n]) === String(about)));
      return i < 0 ? undefined : answers[i];
    };
    const send = (kind, part, values, to = keys) => {
      root.dataset.state = "asking";
      for (const key of to) {
        pending += 1;
        workers[key].postMessage({ type: "ask", round: state.round, id: pending, kind, part, values: { word: state.word, ...values } });
      }
    };
    /** A table with a row per model, in which each model's line appears as it writes. */
    const lines = (caption) => {
      const cells = Object.fromEntries(keys.map((key) => [key, make("td", { className: "try-it-letters", textContent: "…" })]));
      const rows = keys.map((key) => make("tr", {}, rowHeader(label[key]), cells[key]));
      return [cells, make("table", { className: "try-it-table" }, make("caption", { textContent: caption }), make("tbody", {}, ...rows))];
    };
    const written = (cells, key, line, done, right) => {
      cells[key].replaceChildren(...(done ? mark(right) : []), line.trim() || (done ? "an empty line" : "…"));
      cells[key].classList.toggle("try-it-good", Boolean(done) && right);
      if (done) cells[key].dataset.line = line;
    };
    const known = (cell, found) => {
      if (found !== undefined) cell.append(make("span", { className: "try-it-recorded", textContent: ` on record: ${found || "nothing"}` }));
    };

    function spelling() {
      const [cells, table] = lines("What each model writes");
      out.append(heading(level, "How is it spelled?"), table, code(`[...${JSON.stringify(state.word)}].join(" ")  →  ${[...state.word].join(" ")}`));
      show["spelling write"] = (key, { line, answer, done }) => {
        written(cells, key, line, done, answer === state.word);
        if (done) {
          cells[key].dataset.answer = answer;
          known(cells[key], onRecord("spelling", key));
        }
      };
      send("spelling", "write", {});
    }

    /** One question at a time, chosen by radio buttons: what each model writes, then the probability of each candidate. */
    function choosing(kind, title, legend, options, chosen, describe) {
      const place = make("div", {});
      const group = make("fieldset", { className: "try-it-choice" }, make("legend", { textContent: legend }));
      for (const { value, text } of options) {
        const radio = make("input", { type: "radio", name: `${kind}-${root.id}`, value, checked: value === chosen });
        radio.addEventListener("change", () => question(value));
        group.append(make("label", {}, radio, make("span", { textContent: text })));
      }
      out.append(heading(level, title), group, place);

      function question(value) {
        const { values, truth, about, shown, source } = describe(value);
        const [cells, table] = lines("What each model writes when it is asked");
        const bars = {};
        const rows = shown.map((candidate) => {
          const right = candidate === truth;
          bars[candidate] = Object.fromEntries(keys.map((key) => [key, make("td", { className: "try-it-share", textContent: "…" })]));
          const name = rowHeader(candidate, right ? make("span", { className: "try-it-true", textContent: " true" }) : null);
          return make("tr", { className: right ? "try-it-right-row" : "" }, name, ...keys.map((key) => bars[candidate][key]));
        });
        const together = Object.fromEntries(keys.map((key) => [key, make("td", { textContent: "…" })]));
        const others = Object.fromEntries(keys.map((key) => [key, make("td", { textContent: "…" })]));
        const left = questions[kind].candidates.filter((candidate) => !bars[candidate]);
        if (left.length) rows.push(make("tr", {}, rowHeader("All others"), ...keys.map((key) => others[key])));
        rows.push(make("tr", {}, rowHeader("All candidates together"), ...keys.map((key) => together[key])));
        const head = make("thead", {}, make("tr", {}, header("Candidate"), ...keys.map((key) => header(label[key]))));
        const chart = make("table", { className: "try-it-table try-it-bars" }, make("caption", { textContent: "Forced choice: probability among the listed answers" }), head, make("tbody", {}, ...rows));
        place.replaceChildren(make("p", { className: "try-it-question", textContent: fill(questions[kind].template, { word: state.word, ...values }) }), table, code(source), make("details", { className: "note" }, make("summary", { textContent: "What it would choose from a list" }), scrolling(`Probability of each candidate: ${title}`, chart)));
        show[`${kind} write`] = (key, data) => {
          if (String(data.values.asked) !== String(value)) return;
          const answer = plain(data.line);
          written(cells, key, data.line, data.done, answer === truth);
          if (!data.done) return;
          cells[key].dataset.answer = answer;
          if (spells(answer)) cells[key].append(make("span", { className: "try-it-recorded", textContent: " spelled, did not answer" }));
          known(cells[key], onRecord(kind, key, about));
        };
        show[`${kind} choose`] = (key, data) => {
          if (String(data.values.asked) !== String(value)) return;
          const total = data.scores.reduce((sum, score) => sum + Math.exp(score), 0);
          questions[kind].candidates.forEach((candidate, i) => {
            if (!bars[candidate]) return;
            const share = total ? Math.exp(data.scores[i]) / total : 0;
            const bar = attributes(make("span", { className: `try-it-bar try-it-bar--${keys.indexOf(key)}` }), { "aria-hidden": "true" });
            bar.style.width = `${100 * share}%`;
            bars[candidate][key].replaceChildren(make("span", { className: "try-it-track" }, bar), make("span", { textContent: percent(share) }));
          });
          const rest = questions[kind].candidates.reduce((sum, candidate, i) => sum + (bars[candidate] ? 0 : Math.exp(data.scores[i])), 0);
          others[key].textContent = percent(total ? rest / total : 0);
          together[key].replaceChildren(total < 0.0005 ? "less than 0.1%" : percent(Math.min(1, total)), " of all; chooses ", make("strong", { textContent: data.answer }));
          together[key].dataset.answer = data.answer;
        };
        send(kind, "write", { ...values, asked: value });
        send(kind, "choose", { ...values, asked: value });
      }
      question(chosen);
    }

    function counting() {
      const letters = [...new Set(state.word)].filter((letter) => letter.trim());
      if (!letters.includes(state.letter)) [state.letter] = letters;
      choosing("count", "How many of a letter?", "Letter", letters.map((letter) => ({ value: letter, text: letter })), state.letter, (letter) => {
        state.letter = letter;
        const truth = String([...state.word].filter((each) => each === letter).length);
        const source = `[...${JSON.stringify(state.word)}].filter((c) => c === ${JSON.stringify(letter)}).length  →  ${truth}`;
        return { values: { letter }, truth, about: letter, shown: questions.count.candidates, source };
      });
    }

    function positions() {
      const letters = [...state.word];
      const asked = letters.map((_, i) => i + 1).filter((position) => questions.position.ordinals[position]);
      if (!asked.length) return;
      if (!asked.includes(state.position)) [state.position] = asked;
      const options = asked.map((position) => ({ value: position, text: questions.position.ordinals[position] }));
      choosing("position", "Which letter is where?", "Position", options, state.position, (position) => {
        state.position = position;
        const truth = letters[position - 1];
        const shown = questions.position.candidates.filter((candidate) => letters.includes(candidate));
        const source = `[...${JSON.stringify(state.word)}][${position - 1}]  →  ${truth}`;
        return { values: { position, ordinal: questions.position.ordinals[position] }, truth, about: position, shown, source };
      });
    }

    for (const [key, worker] of Object.entries(workers)) {
      worker.onmessage = ({ data }) => {
        if (data.type !== "answer" || data.round !== state.round) return;
        if (data.error) say(`${label[key]}: ${data.error}`, true);
        else show[data.kind === "tokens" ? "tokens" : `${data.kind} ${data.part}`]?.(key, data);
        if (data.done !== false) pending -= 1;
        root.dataset.state = pending ? "asking" : "done";
        if (!pending && !root.querySelector(".try-it-status").classList.contains("try-it-wrong")) say("All models have answered.");
      };
    }

    function ask(word) {
      if (!word) {
        say("Type a word first.", true);
        root.querySelector(".try-it-form input").focus();
        return;
      }
      state.round += 1;
      state.word = word;
      pending = 0;
      show = {};
      say("Asking …");
      const [least, most] = lengths;
      const cut = make("p", { textContent: "…" });
      const tokens = attributes(make("p", { className: "tokens try-it-tokens" }), { role: "img", "aria-label": word });
      out.replaceChildren(cut, tokens);
      show.tokens = (_, { pieces }) => {
        tokens.replaceChildren(...pieces.map((piece) => make("span", { textContent: piece })));
        tokens.setAttribute("aria-label", `${word} in its tokens: ${pieces.join(", ")}`);
        cut.textContent = `The models see ${pieces.length} ${pieces.length === 1 ? "token" : "tokens"}, not letters:`;
      };
      const length = [...word].length;
      if (!/^[a-z]+$/.test(word) || length < least || length > most) {
        out.append(make("p", { className: "try-it-note", textContent: `The study asked about words of ${least} to ${most} lower-case letters a to z; this is something else.` }));
      }
      send("tokens", "tokens", {}, ["base"]);
      if (questions.count) counting();
      if (questions.position) positions();
      if (questions.spelling) spelling();
    }
    return { ask };
  }

  document.querySelectorAll("[data-try-it]").forEach((root, i) => {
    root.id ||= `try-it-${i + 1}`;
    start(root);
  });
})();
