"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const state = { run: 0, view: 0, map: "busy" };

  // --- building blocks: every text goes in as text ---------------------------------------------

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "css") Object.assign(node.style, value);
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : String(child));
    }
    return node;
  }
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
  const count = (value) => whole.format(value);
  function number(value, places = 2) {
    if (value === null || value === undefined) return "-";
    return new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }).format(value);
  }
  const percent = (share, places = 1) => `${number(100 * share, places)} %`;
  function short(value) {
    for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (value >= size) return `${number(value / size, value / size >= 100 ? 0 : value / size >= 10 ? 1 : 2)} ${unit}`;
    return count(value);
  }
  const milliseconds = (ms) => ms >= 1000 ? `${number(ms / 1000)} s` : ms >= 1 ? `${number(ms)} ms` : `${number(1000 * ms, 1)} µs`;
  const signed = (value) => `${Math.abs(value) < 0.05 ? "±" : value > 0 ? "+" : "−"}${number(Math.abs(value), 1)} %`;
  const words = (text) => text.split(/(`[^`]+`|--mapping [^\s;)]+|--set [^\s,;)]+|--[a-z][^\s,;)]*)/).map((part, place) => place % 2 ? h("code", {}, part.replace(/`/g, "")) : part);

  // A `stacked` table is one of cards where the window is narrow: each cell has its head beside it.
  function table(heads, rows, { high = false, text = [0], caption = null, stacked = false } = {}) {
    const side = (place) => (text.includes(place) ? "text" : null);
    return h("div", { class: high ? "scroll high" : "scroll", tabindex: high ? "0" : null, role: high ? "region" : null, "aria-label": high ? "Numbers" : null },
      h("table", { class: stacked ? "stacked" : null },
        caption && h("caption", { class: "small soft" }, caption),
        h("thead", {}, h("tr", {}, heads.map((head, place) => h("th", { scope: "col", class: side(place) }, head)))),
        h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, place) => h(place ? "td" : "th", { scope: place ? null : "row", class: side(place), "data-head": stacked && place ? heads[place] : null }, stacked ? h("span", {}, cell) : cell)))))));
  }
  function numbers(heads, rows, options) {
    return h("details", {}, h("summary", {}, "The numbers as a table"), table(heads, rows, options));
  }
  function section(id, title, lead, ...body) {
    return h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), lead && h("p", { class: "lead" }, lead), body);
  }
  const swatch = (color) => h("span", { class: "swatch", "aria-hidden": "true", css: { background: color } });
  const legend = (items) => h("ul", { class: "legend" }, items.map(([color, text]) => h("li", {}, swatch(color), text)));
  function track(parts, options = {}) {
    return h("div", { class: options.tall ? "track tall" : "track", "aria-hidden": "true" },
      parts.filter(([share]) => share > 0).map(([share, color, title]) => h("i", { title, css: { width: `${100 * Math.min(share, 1)}%`, background: color } })));
  }
  function bars(rows, options = {}) {
    return h("div", { class: options.tall ? "bars tall" : "bars" }, rows.map(([label, parts, value]) => [
      h("div", { class: "label" }, label), track(parts), h("div", { class: "value num" }, value)]));
  }

  const CAUSES = data.words.causes;
  const cause = (name) => `var(--c-${name})`;
  const VIRIDIS = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];
  function viridis(share) {
    const at = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1), low = Math.min(Math.floor(at), VIRIDIS.length - 2);
    const rgb = VIRIDIS[low].map((value, place) => Math.round(value + (at - low) * (VIRIDIS[low + 1][place] - value)));
    const light = (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) > 140;
    return { fill: `rgb(${rgb.join(",")})`, ink: light ? "#000" : "#fff" };
  }
  const SETS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8a929b"];
  const SETS_INK = ["#fff", "#000", "#fff", "#000", "#000", "#fff", "#000", "#000"];
  const KINDS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8a929b"];

  // --- the head --------------------------------------------------------------------------------

  function head(run) {
    const hw = run.hw;
    return [
      h("h1", {}, data.comparison ? "Runs side by side" : `${run.network} on ${hw.name}`),
      h("p", { class: "soft" },
        `${data.comparison ? `${run.label}: ${run.network} on ${hw.name}, ` : ""}batch ${run.batch}; ${hw.rows} x ${hw.columns} = ${hw.pes} PEs at ${hw.core_mhz} MHz, DRAM link at ${hw.link_mhz} MHz, words of ${hw.words}; `,
        run.simulated ? "simulated event by event." : "estimated in closed form, not simulated."),
      run.refused.map((layer) => h("p", { class: "note" }, `Refused by the chip and in no figure: ${layer.name}: ${layer.reasons.join("; ")}`)),
      run.values.filter((layer) => layer.wrong).map((layer) => h("p", { class: "note" }, `${layer.layer}: ${count(layer.wrong)} of ${count(layer.elements)} elements of the ofmap differ from NumPy's convolution.`)),
    ];
  }

  function chooser(run) {
    const option = (text, value, chosen) => h("option", { value, selected: value === chosen }, text);
    const runs = data.runs.length > 1 && h("label", {}, "Run", h("select", { id: "run", onchange: (e) => go(Number(e.target.value), 0) },
      data.runs.map((other, place) => option(other.label, place, state.run))));
    const views = h("label", {}, "Layer", h("select", { id: "layer", onchange: (e) => go(state.run, Number(e.target.value)) },
      run.views.map((view, place) => option(view.name, place, state.view))));
    const step = (by, text, name) => h("button", { type: "button", id: name, "aria-label": `${text} layer`, disabled: !run.views[state.view + by], onclick: () => { go(state.run, state.view + by); const again = document.getElementById(name); if (!again.disabled) again.focus(); } }, by < 0 ? "‹" : "›");
    return [runs, views, run.views.length > 1 && [step(-1, "previous", "back"), step(1, "next", "on")]];
  }

  function story(view) {
    return h("div", { class: "story" }, view.story.map((part, place) => h("article", { class: place ? null : "wide" },
      h("h2", {}, part.question), h("p", { class: "first" }, words(part.answer[0])),
      part.answer.length > 1 && h("ul", {}, part.answer.slice(1).map((line) => h("li", {}, words(line)))))));
  }

  function tiles(run, view) {
    const tile = (value, text) => h("li", {}, h("b", {}, value), h("span", { class: "small soft" }, text));
    return [
      view.shape && h("p", {}, `${view.shape}. Mapping (${view.mapping_source}): ${Object.entries(view.mapping).map(([k, v]) => `${k}=${v}`).join(", ")}.`),
      h("ul", { class: "tiles" },
        tile(milliseconds(view.total_ms), `total latency, ${count(view.total_cycles)} cycles`),
        tile(milliseconds(view.processing_ms), `of it processing latency, ${count(view.processing_cycles)} cycles`),
        tile(number(view.macs_per_cycle, 1), `MACs per cycle of ${run.hw.pes}`),
        view.active_pes !== null && tile(`${view.active_pes} of ${run.hw.pes}`, "PEs active"),
        tile(short(view.macs), "MACs"),
        view.energy && tile(view.energy.unit === "pJ" ? `${number(view.energy.total * 1e-9)} mJ` : short(view.energy.total), view.energy.unit === "pJ" ? "energy" : "energy, in energies of one MAC"))];
  }

  // --- figures ---------------------------------------------------------------------------------

  function chip(view) {
    const found = view.chip;
    if (!found) return null;
    const marks = { read_off: "read off a chart", corrected: "misprint corrected", assumed: "zeros of ofmaps assumed" };
    return section("chip", "Beside the chip",
      `What the chip's authors published for ${found.layers.length === 1 ? "this layer" : `these ${found.layers.length} layers`} (${found.source}).${found.mapping_inferred ? " The mapping they used is not published; it was inferred from their active PEs and GLB accesses; the other figures are predictions." : ""}${view.whole ? " Layers without published figures are left out." : ""}`,
      table(["", "simulated", "published", "differs by"],
        found.rows.map((row) => [row.what, number(row.simulated, row.simulated % 1 ? 2 : 0), number(row.published, row.published % 1 ? 1 : 0), [signed(row.difference_percent), row.marks.length > 0 && h("div", { class: "small soft" }, row.marks.map((mark) => marks[mark] || mark).join(", "))]])));
  }

  function eyexam(run, view) {
    const steps = view.eyexam;
    if (!steps.length) return section("eyexam", "From the peak to what was reached", "This result file holds no Eyexam steps; write it anew with this version to see them.");
    const peak = run.hw.pes;
    let worst = 0;
    steps.forEach((step, place) => { if (place > 2 && (!worst || steps[place - 1].macs_per_cycle / step.macs_per_cycle > steps[worst - 1].macs_per_cycle / steps[worst].macs_per_cycle)) worst = place; });
    const shown = (step) => step.macs_per_cycle > 10 * peak ? short(step.macs_per_cycle) : number(step.macs_per_cycle, 2);
    return section("eyexam", "From the peak to what was reached",
      `Eyexam (Chen et al., 2019): each step adds one constraint to all before, and no step can be above the last. Bars are MACs per cycle of the ${peak} that the PEs could do; the step that costs most beyond the number of PEs is marked.`,
      h("ol", { class: "steps" }, steps.map((step, place) => {
        const kept = place ? step.macs_per_cycle / steps[place - 1].macs_per_cycle : 1;
        const over = step.macs_per_cycle > peak;
        return h("li", { class: place === worst && kept < 0.999 ? "drop" : null },
          h("b", {}, `${place + 1}. ${step.step}`),
          track([[over ? 1 : step.macs_per_cycle / peak, place === steps.length - 1 ? "var(--c-computing)" : over ? "var(--hatch)" : "var(--c-accumulating)"]]),
          h("span", { class: "value num" }, over ? "≫ " : "", h("b", {}, shown(step)), place > 2 && kept < 0.9995 ? ` (${signed(100 * (kept - 1))})` : ""),
          h("span", { class: "why" }, step.reason));
      })),
      numbers(["step", "bound, MAC/cycle", "fewest cycles", "of the step before", "total latency bound by"], steps.map((step, place) => [
        step.step, number(step.macs_per_cycle, 4), count(step.cycles), place ? percent(step.macs_per_cycle / steps[place - 1].macs_per_cycle, 2) : "", place === steps.length - 1 ? step.limit : ""]), { text: [0, 4] }));
  }

  function peMap(run, view) {
    const pe = view.pe, cell = 40, left = 34, top = 26;
    const panel = h("div", { class: "panel", "aria-live": "polite", id: "pe-panel" });
    const causes = Object.keys(pe.by_cause);
    const gated = (r, c) => pe.by_cause.clock_gated[r][c] === pe.cycles;
    const busy = (r, c) => pe.busy_cycles[r][c] / pe.cycles;
    const loss = (r, c) => causes.filter((name) => name !== "computing").reduce((most, name) => pe.by_cause[name][r][c] > pe.by_cause[most][r][c] ? name : most, "accumulating");
    const set = (r, c) => pe.placement && pe.placement[r][c] ? pe.placement[r][c].split(".").map(Number) : null;
    const letter = (n) => String.fromCharCode(65 + n % 26);
    const many = pe.rows * pe.columns;

    function tell(r, c) {
      const where = set(r, c);
      panel.replaceChildren(
        h("h3", {}, `PE in row ${r}, column ${c}`),
        h("p", { class: "small" }, where ? `Filter set ${letter(where[0])}, channel set ${where[1]}; filter row ${where[2]}, ofmap row ${where[3]} of the strip.` : pe.placement ? "In no PE set: its clock is off." : "All layers together.", ` ${count(pe.macs[r][c])} products.`),
        table(["", "cycles", "%"], causes.filter((name) => pe.by_cause[name][r][c]).map((name) => [[swatch(cause(name)), " ", CAUSES[name] || name], count(pe.by_cause[name][r][c]), number(100 * pe.by_cause[name][r][c] / pe.cycles, 1)])));
    }
    function rest() {
      let least = null, most = null;
      for (let r = 0; r < pe.rows; r++) for (let c = 0; c < pe.columns; c++) if (!gated(r, c)) {
        if (!most || busy(r, c) > busy(...most)) most = [r, c];
        if (!least || busy(r, c) < busy(...least)) least = [r, c];
      }
      panel.replaceChildren(
        h("h3", {}, "Point at a PE, or walk with the arrow keys"),
        most && h("p", {}, `Busiest: row ${most[0]}, column ${most[1]} with ${percent(busy(...most))} of the cycles; least busy of the active ones: row ${least[0]}, column ${least[1]} with ${percent(busy(...least))}.`),
        h("p", { class: "small soft" }, "Busy is computing or adding psums. Row 0 is the top of the array, where psums leave."));
    }

    const cells = [];
    const svg = s("svg", { viewBox: `0 0 ${left + pe.columns * cell + 2} ${top + pe.rows * cell + 2}`, role: "group", "aria-label": "Map of the PEs; arrow keys move from one to the next", id: "pe-map" });
    const every = many > 600 ? 8 : 1;
    const axis = pe.columns > 20 ? { fontSize: `${0.65 * pe.columns}px` } : {};
    for (let c = 0; c < pe.columns; c += every) svg.append(s("text", { class: "axis", x: left + (c + 0.5) * cell, y: top - 8, "text-anchor": "middle", css: axis }, c));
    for (let r = 0; r < pe.rows; r += every) svg.append(s("text", { class: "axis", x: left - 8, y: top + (r + 0.65) * cell, "text-anchor": "end", css: axis }, r));
    for (let r = 0; r < pe.rows; r++) {
      cells.push([]);
      for (let c = 0; c < pe.columns; c++) {
        let paint = { fill: "var(--page)", ink: "var(--soft)" }, text = "";
        const never = gated(r, c);
        if (!never && state.map === "busy") { paint = viridis(busy(r, c)); text = number(100 * busy(r, c), 0); }
        if (!never && state.map === "cause") { const name = loss(r, c); paint = { fill: cause(name), ink: "#000" }; }
        if (state.map === "place" && set(r, c)) { const [f, k, i] = set(r, c); paint = { fill: SETS[f % SETS.length], ink: SETS_INK[f % SETS.length] }; text = `${letter(f)}${k}`; if (i % 2) paint.fade = 0.82; }
        const label = `Row ${r}, column ${c}: ${never ? "clock gated" : `busy ${percent(busy(r, c))}, largest loss ${CAUSES[loss(r, c)]}`}`;
        const rect = s("rect", { class: never && state.map !== "place" ? "pe never" : "pe", x: left + c * cell, y: top + r * cell, width: cell, height: cell, rx: 4, tabindex: r || c ? "-1" : "0", role: "img", "aria-label": label, "data-row": r, "data-column": c, fill: never && state.map !== "place" ? null : paint.fill, "fill-opacity": paint.fade });
        rect.addEventListener("pointerenter", () => tell(r, c));
        rect.addEventListener("focus", () => tell(r, c));
        rect.addEventListener("pointerdown", () => tell(r, c));
        cells[r].push(rect);
        svg.append(rect);
        if (text && many <= 600) { const mark = s("text", { class: "in", x: left + (c + 0.5) * cell, y: top + (r + 0.64) * cell, "text-anchor": "middle", "aria-hidden": "true" }, text); mark.style.fill = paint.ink; svg.append(mark); }
      }
    }
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const at = event.target.dataset;
      if (!step || at.row === undefined) return;
      const next = cells[Number(at.row) + step[0]] && cells[Number(at.row) + step[0]][Number(at.column) + step[1]];
      if (next) { event.target.setAttribute("tabindex", "-1"); next.setAttribute("tabindex", "0"); next.focus(); }
      event.preventDefault();
    });
    rest();
    const modes = [["busy", "how busy"], ["cause", "largest loss"]].concat(pe.placement ? [["place", "PE sets"]] : []);
    if (!modes.some(([name]) => name === state.map)) state.map = "busy";
    const choice = h("fieldset", {}, h("legend", {}, "Colour by"), modes.map(([name, text]) => h("label", {}, h("input", { type: "radio", name: "map", value: name, checked: state.map === name, onchange: () => {
      state.map = name;
      document.getElementById("pe").replaceWith(peMap(run, view));
      document.querySelector(`input[name=map][value=${name}]`).focus();
    } }), text)));
    const present = new Set(cells.flatMap((row, r) => row.map((_, c) => gated(r, c) ? "clock_gated" : loss(r, c))));
    const key = {
      busy: () => legend([0, 0.25, 0.5, 0.75, 1].map((share) => [viridis(share).fill, percent(share, 0)]).concat([["var(--page)", "dashed: never (clock gated)"]])),
      cause: () => legend(causes.filter((name) => present.has(name)).map((name) => [name === "clock_gated" ? "var(--page)" : cause(name), CAUSES[name]])),
      place: () => h("p", { class: "small soft" }, "A letter is a PE set on other filters, its digit a channel set; a PE in row i of a set holds filter row i. Rows alternate in shade."),
    }[state.map]();
    const heads = ["row", "column", "set", "products", "busy %", ...causes.map((name) => CAUSES[name] || name)];
    const rows = () => cells.flatMap((line, r) => line.map((_, c) => [r, c, set(r, c) ? `${letter(set(r, c)[0])}${set(r, c)[1]}` : "", count(pe.macs[r][c]), number(100 * busy(r, c), 2), ...causes.map((name) => count(pe.by_cause[name][r][c]))]));
    const more = h("details", { ontoggle: (event) => { if (event.target.open && !event.target.querySelector("table")) event.target.append(table(heads, rows(), { high: true, text: [] })); } }, h("summary", {}, "The numbers as a table"));
    return section("pe", `The ${pe.rows} x ${pe.columns} PEs`, "Each PE by the share of cycles in which it computes or adds psums, by what it loses most to, or by the PE set it stands in.", choice,
      h("div", { class: "map" }, h("div", {}, svg, key), panel), more);
  }

  function stalls(run, view) {
    const { causes, pe_cycles: cycles, percent: shares } = view.stalls;
    const total = cycles.reduce((a, b) => a + b, 0);
    const parts = (values) => { const all = values.reduce((a, b) => a + b, 0); return values.map((value, place) => [value / all, cause(causes[place]), `${CAUSES[causes[place]]}: ${percent(value / all)}`]); };
    return section("stalls", "What the PEs do with their cycles",
      `All cycles of all ${run.hw.pes} PEs in the total latency.${run.simulated ? "" : " The closed form knows computing, adding psums, waiting for filters, clock gated and stalls for DRAM; the rest of a PE's time is booked under the one cause that its bound suggests."}`,
      view.layers ? [bars(view.layers.map((layer, place) => [link(layer.name, place + 1), parts(layer.by_cause), `${layer.percent[0]} % computing`])),
        legend(causes.map((name, place) => [cause(name), `${CAUSES[name]} ${shares[place]} %`]))]
        : [track(parts(cycles), { tall: true }), legend(causes.map((name, place) => [cause(name), `${CAUSES[name]} ${shares[place]} %`]))],
      view.layers ? numbers(["layer", ...causes.map((name) => `${CAUSES[name]}, %`)], view.layers.map((layer) => [layer.name, ...layer.percent]).concat([["all", ...shares]]))
        : numbers(["cause", "PE cycles", "%"], causes.map((name, place) => [CAUSES[name], count(cycles[place]), shares[place]]).concat([["all", count(total), "100.0"]])));
  }

  const link = (name, place) => h("button", { type: "button", class: "link", onclick: () => { go(state.run, place); document.getElementById("view").focus(); } }, name);

  function buses(run, view) {
    const reached = view.multicast.reduce((sum, [, words]) => sum + words, 0);
    return [
      section("buses", "How busy each bus and link is", `Share of the processing latency; the PEs stand at the top for comparison. How busy a bus is does not say what it costs: what bounds the layer stands at the top of the page.${view.stations.some((row) => row.taken - row.busy > 0.001) ? " Pale: beats that are not full take the bus for a whole cycle all the same." : ""}`,
        bars(view.stations.filter((row) => row.busy !== null).map((row) => [row.name, [[row.busy, `var(--d-${row.data})`], [row.taken - row.busy, "var(--hatch)", "beats that are not full"]], percent(row.taken)])),
        numbers(["", "words/cycle", "words", "deliveries", "deliveries per word", "busy at full width", "taken by beats"], view.stations.map((row) => [
          row.name, row.words_per_cycle === null ? "" : number(row.words_per_cycle, row.words_per_cycle % 1 ? 2 : 0), row.words === null ? "" : count(row.words), row.deliveries === null ? "" : count(row.deliveries), row.words && row.deliveries !== null ? number(row.deliveries / row.words) : "", row.busy === null ? "" : percent(row.busy, 2), row.taken === null ? "" : percent(row.taken, 2)]))),
      view.queues.length > 0 && section("queues", "How full the FIFOs get", view.queues_legend,
        table(["", "unit", "can hold", "held", "blocked cycles", "writers blocked"], view.queues.map((row) => [row.name, row.unit, count(row.depth), count(row.peak), count(row.blocked_cycles), number(row.blocked_writers, 2)]))),
      reached > 0 && section("multicast", "How many PEs an ifmap word reaches at once", "One transfer on the ifmap bus serves all PEs of a diagonal, in every PE set.",
        bars(view.multicast.map(([pes, words]) => [`${pes} PE${pes === 1 ? "" : "s"}`, [[words / reached, "var(--d-ifmap)"]], percent(words / reached)])),
        numbers(["PEs reached", "words", "share"], view.multicast.map(([pes, words]) => [pes, count(words), percent(words / reached, 2)]))),
    ];
  }

  function kindName(kind) {
    const plural = (value, word) => `${value} ${word}${value === 1 ? "" : "s"}`;
    return `${plural(kind.images, "image")}, ${plural(kind.strip_rows, "row")}, ${kind.columns ? `${plural(kind.columns, "column")}, ` : ""}${plural(kind.filters, "filter")}, ${plural(kind.channels, "channel")}${kind.first_channels ? ", psums from zero" : ""}`;
  }

  function timeline(run, view) {
    if (view.layers) return layersFigure(run, view);
    const line = view.timeline;
    if (!line) return null;
    const phases = Object.keys(data.words.phases);
    const kinds = line.kinds, others = line.left_out || { passes: 0, cycles: 0 }, total = kinds.reduce((sum, kind) => sum + kind.cycles * kind.passes, others.cycles);
    const ranked = kinds.map((_, place) => place).sort((a, b) => kinds[b].cycles * kinds[b].passes - kinds[a].cycles * kinds[a].passes);
    const color = (kind) => KINDS[ranked.indexOf(kind) % KINDS.length];
    const width = 1000, marks = [];
    let at = 0;
    const covered = line.order.reduce((sum, [times, runs]) => sum + times * runs.reduce((part, [kind, many]) => part + many * kinds[kind].cycles, 0), 0);
    const put = (cycles, kind, text) => { marks.push([at, cycles, kind, text]); at += cycles; };
    const passes = line.order.reduce((sum, [times, runs]) => sum + times * runs.reduce((part, [, many]) => part + many, 0), 0);
    const pieces = line.order.reduce((sum, [times, runs]) => sum + times * runs.length, 0);
    for (const [times, runs] of line.order) {
      if (pieces > 1500 && times > 1) {
        const cycles = runs.reduce((part, [kind, many]) => part + many * kinds[kind].cycles, 0);
        const most = runs.reduce((best, run) => run[1] * kinds[run[0]].cycles > best[1] * kinds[best[0]].cycles ? run : best);
        put(times * cycles, most[0], `${count(times)} blocks of ${count(runs.reduce((part, [, many]) => part + many, 0))} passes`);
      } else for (let turn = 0; turn < times; turn++) for (const [kind, many] of runs) {
        if (passes <= 400) for (let one = 0; one < many; one++) put(kinds[kind].cycles, kind, `one pass of ${count(kinds[kind].cycles)} cycles: ${kindName(kinds[kind])}`);
        else put(many * kinds[kind].cycles, kind, `${count(many)} pass${many === 1 ? "" : "es"} of ${count(kinds[kind].cycles)} cycles: ${kindName(kinds[kind])}`);
      }
    }
    const scale = covered ? width / covered : 0;
    const strip = marks.length > 0 && s("svg", { viewBox: `0 0 ${width} 46`, preserveAspectRatio: "none", role: "img", "aria-label": `The passes in their order, ${count(covered)} cycles from left to right`, css: { height: "3rem" } },
      marks.map(([start, cycles, kind, text]) => s("rect", { x: start * scale, y: 0, width: Math.max(cycles * scale - (marks.length < 300 ? 1 : 0), 0.4), height: 46, fill: color(kind) }, s("title", {}, text))));
    return [section("timeline", "The passes, from first to last",
      `${count(view.passes)} pass${view.passes === 1 ? "" : "es"} of ${kinds.length} kind${kinds.length === 1 ? "" : "s"}; time runs from left to right, a colour is a kind of pass.${!line.order.length ? " This result does not hold their order." : line.complete ? "" : " Only the first of them are in the result file."}${others.passes ? ` ${count(others.passes)} passes of other kinds (${percent(others.cycles / total)} of the time) are not told of one by one.` : ""}`,
      strip, legend(ranked.slice(0, 16).map((place) => [kinds[place], place]).map(([kind, place]) => [color(place), `${count(kind.passes)} x ${count(kind.cycles)} cycles: ${kindName(kind)} (${percent(kind.cycles * kind.passes / total)} of the time)`])),
      numbers(["kind", "passes", "cycles each", ...phases, "share of time"], kinds.map((kind) => [kindName(kind), count(kind.passes), count(kind.cycles), ...phases.map((phase) => count(kind.phases[phase])), percent(kind.cycles * kind.passes / total, 2)]))),
    onePass(line)];
  }

  function onePass(line) {
    const place = line.detail ? line.detail.kind : line.kinds.reduce((best, kind, index) => kind.cycles * kind.passes > line.kinds[best].cycles * line.kinds[best].passes ? index : best, 0);
    const kind = line.kinds[place], phases = Object.entries(kind.phases);
    const words = data.words.phases;
    const lanes = line.detail && Object.entries(line.detail.busy);
    const laneName = (name) => (data.words.lanes[name] || { label: name }).label;
    const hue = (name) => data.words.lanes[name] ? `var(--d-${data.words.lanes[name].data})` : "var(--accent)";
    const body = [track(phases.map(([name, cycles]) => [cycles / kind.cycles, `var(--p-${name})`, `${words[name]}: ${count(cycles)} cycles`]), { tall: true }),
      legend(phases.filter(([name, cycles]) => line.detail || cycles).map(([name, cycles]) => [`var(--p-${name})`, `${line.detail ? words[name] : name === "steady" ? "computing, with ramp and drain" : words[name]}: ${count(cycles)} cycles (${percent(cycles / kind.cycles)})`]))];
    if (lanes) {
      const slices = lanes[0][1].length, lane = 40;
      body.push(h("div", { class: "bars" }, lanes.map(([name, shares]) => [
        h("div", { class: "label" }, laneName(name)),
        s("svg", { viewBox: `0 0 ${slices} ${lane}`, preserveAspectRatio: "none", role: "img", "aria-label": `${laneName(name)}: on average ${percent(shares.reduce((a, b) => a + b, 0) / slices)} of the pass`, css: { height: "2.2rem", background: "var(--track)", borderRadius: ".2rem" } },
          s("path", { d: `M0 ${lane}${shares.map((share, slice) => `V${lane * (1 - share)}H${slice + 1}`).join("")}V${lane}Z`, fill: hue(name) }),
          shares.map((share, slice) => s("rect", { x: slice, y: 0, width: 1, height: lane, fill: "transparent" }, s("title", {}, `cycles ${count(Math.round(slice * kind.cycles / slices))} to ${count(Math.round((slice + 1) * kind.cycles / slices))}: ${percent(share)}`)))),
        h("div", { class: "value num" }, percent(shares.reduce((a, b) => a + b, 0) / slices))])));
    }
    return section("pass", "One pass in detail", `A pass of ${count(kind.cycles)} cycles (${kindName(kind)}), the kind that takes most of the time.${lanes ? " Below, how full each station is from its start to its end; a full lane is 100 %." : " Only the simulation knows how busy each station is within a pass."}`, body,
      numbers(["phase", "cycles", "share"], phases.map(([name, cycles]) => [words[name], count(cycles), percent(cycles / kind.cycles, 2)])),
      lanes && h("details", {}, h("summary", {}, "The lanes as a table"), table(["cycles from", ...lanes.map(([name]) => `${laneName(name)}, %`)], lanes[0][1].map((_, slice) => [count(Math.round(slice * kind.cycles / lanes[0][1].length)), ...lanes.map(([, shares]) => number(100 * shares[slice], 1))]), { high: true })));
  }

  function layersFigure(run, view) {
    const most = Math.max(...view.layers.map((layer) => layer.total_cycles));
    const ms = (cycles) => cycles / run.hw.core_mhz / 1000;
    return section("layers", "The layers", "Total latency of each layer. Choose one to see where its time goes.",
      bars(view.layers.map((layer, place) => [link(layer.name, place + 1), [[layer.processing_cycles / most, "var(--c-computing)", "processing"], [layer.standstill_cycles / most, "var(--hatch)", CAUSES.dram_stall]], milliseconds(ms(layer.total_cycles))])),
      legend([["var(--c-computing)", "processing latency"], ["var(--hatch)", CAUSES.dram_stall]]),
      numbers(["layer", "total cycles", "ms", "of them processing", "standstill cycles", "share of time", "MACs per processing cycle"], view.layers.map((layer) => [layer.name, count(layer.total_cycles), number(ms(layer.total_cycles), 4), count(layer.processing_cycles), count(layer.standstill_cycles), percent(layer.total_cycles / view.total_cycles, 2), number(layer.macs / layer.processing_cycles, 2)])));
  }

  function energy(view) {
    const found = view.energy;
    if (!found) return null;
    const { levels: names, data_types: kinds } = data.words;
    const most = Math.max(...found.levels.map((level) => found.by_level[level])) || 1;
    const unit = found.unit === "pJ" ? "pJ" : "energies of one MAC";
    const used = found.data_types.filter((kind) => found.by_data_type[kind]);
    const rows = found.levels.map((level, place) => [level, place]).filter(([level]) => found.by_level[level]);
    return section("energy", "Where the energy goes", `By level and data type, with the prices of table ${found.table} (${unit}).${found.unpriced.length ? ` It has no price for ${found.unpriced.join(", ")}.` : ""}`,
      bars(rows.map(([level, place]) => [names[level], found.cells[place].map((value, column) => [value / most, `var(--d-${found.data_types[column]})`, `${kinds[found.data_types[column]]}: ${percent(value / found.total)}`]), percent(found.by_level[level] / found.total)])),
      legend(used.map((kind) => [`var(--d-${kind})`, `${kinds[kind]} ${percent(found.by_data_type[kind] / found.total)}`])),
      numbers(["level", ...used.map((kind) => kinds[kind]), "all"], rows.map(([level, place]) => [names[level], ...used.map((kind) => count(found.cells[place][found.data_types.indexOf(kind)])), count(found.by_level[level])]).concat([["all", ...used.map((kind) => count(found.by_data_type[kind])), count(found.total)]])));
  }

  function dram(run, view) {
    const { bytes, standstill_cycles: still } = view.dram, kinds = ["ifmap", "filter", "ofmap"];
    const total = kinds.reduce((sum, kind) => sum + bytes[kind], 0), waits = Object.values(still).reduce((a, b) => a + b, 0);
    return section("dram", "DRAM", `${number(total / 1e6)} MB cross the link. While ifmaps load and ofmaps leave, the array waits for ${count(waits)} cycles (${percent(waits / view.total_cycles)} of the total latency).`,
      bars(kinds.map((kind) => [`${kind}s`, [[bytes[kind] / total, `var(--d-${kind})`]], `${number(bytes[kind] / 1e6)} MB`])),
      numbers(["", "bytes", "standstill cycles"], [["ifmaps", count(bytes.ifmap), count(still.ifmap_load)], ["filters", count(bytes.filter), "0"], ["ofmaps", count(bytes.ofmap), count(still.ofmap_dump)], ["all", count(total), count(waits)], ["GLB accesses as published", count(view.glb_published_bytes), ""]]));
  }

  function comparison() {
    const found = data.comparison;
    if (!found) return null;
    const places = { active_pes: 0, energy: 0 };
    const cellOf = (row, metric, place) => {
      const mine = row.runs[place], base = row.runs[0];
      if (!mine || mine[metric] === null) return "-";
      const text = number(mine[metric], metric in places ? places[metric] : mine[metric] >= 100 ? 1 : 3);
      if (!place || !base || !base[metric]) return text;
      return [text, h("span", { class: "soft" }, ` (${signed(100 * (mine[metric] / base[metric] - 1))})`)];
    };
    const some = (metric) => found.rows.some((row) => row.runs.some((one) => one && one[metric] !== null));
    const most = Math.max(...found.rows.filter((row) => row.layer !== "all" || found.rows.length === 1).flatMap((row) => row.runs.map((one) => one ? one.total_ms : 0)));
    return section("compare", "Side by side", `Each run against the first, ${found.labels[0]}. Differences are in percent of it.`,
      found.warnings.map((text) => h("p", { class: "note" }, text)),
      found.rows.filter((row) => row.layer !== "all").map((row) => [h("h3", {}, row.layer), bars(row.runs.map((one, place) => one && [found.labels[place], [[one.total_ms / most, KINDS[place % KINDS.length]]], [milliseconds(one.total_ms), place && row.runs[0] ? ` (${signed(100 * (one.total_ms / row.runs[0].total_ms - 1))})` : "", one.bound ? h("span", { class: "soft" }, `, bound by ${one.bound}`) : ""]]).filter(Boolean))]),
      found.rows.length === 1 ? table(["", ...found.labels], found.metrics.filter(([metric]) => some(metric)).map(([metric, name, unit]) => [unit ? `${name}, ${unit}` : name, ...found.labels.map((_, place) => cellOf(found.rows[0], metric, place))]), { stacked: true })
        : found.metrics.filter(([metric]) => some(metric)).map(([metric, name, unit]) => h("details", { open: metric === "total_ms" || metric === "energy" }, h("summary", {}, `${name}${unit ? `, ${unit}` : ""}`),
        table(["layer", ...found.labels], found.rows.map((row) => [row.layer, ...row.runs.map((_, place) => cellOf(row, metric, place))]), { stacked: true }))),
      traffic(found),
      h("details", {}, h("summary", {}, "The mappings"), table(["layer", ...found.labels], found.rows.filter((row) => row.layer !== "all").map((row) => [row.layer, ...row.runs.map((one) => one ? one.mapping : "-")]), { text: [0, ...found.labels.map((_, place) => place + 1)], stacked: true })));
  }

  function traffic(found) {
    const name = data.runs[state.run].views[state.view].name;
    const row = found.rows.find((one) => one.layer === name) || found.rows[found.rows.length - 1];
    const most = Math.max(...found.networks.flatMap(([key]) => row.runs.map((one) => one ? one.noc[key].words : 0)), 1);
    const against = (one, key, what) => {
      if (!one || one.noc[key][what] === null) return "-";
      const base = row.runs[0] && row.runs[0].noc[key][what], text = count(one.noc[key][what]);
      return one === row.runs[0] || !base ? text : [text, h("span", { class: "soft" }, ` (${signed(100 * (one.noc[key][what] / base - 1))})`)];
    };
    return h("div", { id: "noc" }, h("h3", {}, `Traffic on the networks, ${row.layer === "all" ? "all layers" : row.layer}`),
      h("p", { class: "small soft" }, "Words that each bus carries, and what arrives at PEs: a multicast word arrives several times."),
      found.networks.map(([key, title]) => [h("h4", {}, title), bars(row.runs.map((one, place) => one && [found.labels[place], [[one.noc[key].words / most, KINDS[place % KINDS.length]]], against(one, key, "words")]).filter(Boolean))]),
      numbers(["", ...found.labels], found.networks.flatMap(([key, title]) => [["words", "words"], ["deliveries", "deliveries to PEs"]].filter(([what]) => row.runs.some((one) => one && one.noc[key][what] !== null)).map(([what, text]) => [`${title}: ${text}`, ...row.runs.map((one) => against(one, key, what))])), { stacked: true }));
  }

  // --- the page --------------------------------------------------------------------------------

  // The address: #RUN/LAYER by name, #RUN for its first view; a run's network, and numbers, do too.
  function address() {
    const run = data.runs[state.run], view = run.views[state.view];
    return `#${encodeURIComponent(run.label)}${view && !view.whole ? `/${encodeURIComponent(view.name)}` : ""}`;
  }
  function place(hash) {
    const parts = hash.replace(/^#/, "").split("/");
    let names;
    try { names = parts.map((part) => decodeURIComponent(part).toLowerCase()); } catch (_) { return null; }
    const among = (items, name, ...keys) => {
      for (const key of keys) {
        const found = items.findIndex((item) => String(item[key]).toLowerCase() === name);
        if (found >= 0) return found;
      }
      return /^\d{1,4}$/.test(name) && items[Number(name)] ? Number(name) : -1;
    };
    if (parts.length > 2) return null;
    const run = among(data.runs, names[0], "label", "network");
    const view = run < 0 ? -1 : parts.length === 1 || !names[1] ? 0 : among(data.runs[run].views, names[1], "name");
    return view < 0 ? null : [run, view];
  }

  function go(run, view) {
    state.run = Math.min(Math.max(run, 0), data.runs.length - 1);
    state.view = Math.min(Math.max(view, 0), data.runs[state.run].views.length - 1);
    try { history.replaceState(null, "", address()); } catch (_) { /* a page from a file may not */ }
    draw();
  }

  function draw() {
    const run = data.runs[state.run], view = run.views[state.view];
    document.getElementById("head").replaceChildren(...head(run).flat().filter(Boolean));
    document.getElementById("choose").replaceChildren(...chooser(run).flat().filter(Boolean));
    const parts = [comparison(), view && [h("h2", { id: "view-name" }, `${data.comparison ? `${run.label}: ` : ""}${view.name}`), tiles(run, view), story(view), chip(view), eyexam(run, view), timeline(run, view), peMap(run, view), stalls(run, view), buses(run, view), energy(view), dram(run, view)]];
    document.getElementById("view").replaceChildren(...parts.flat(Infinity).filter(Boolean));
    document.getElementById("foot").replaceChildren(
      ...run.notes.map((note) => h("p", {}, `Note: ${note}`)),
      h("p", {}, "PE: processing element. Psum: partial sum of an ofmap word. GLB: global buffer. GIN, GON: the networks into and out of the array. A pass: what the array does with one set of filters, channels and rows. Written by eyeriss-sim; this page loads nothing from elsewhere."));
  }

  const start = place(location.hash);
  if (start) [state.run, state.view] = start;
  window.addEventListener("hashchange", () => { const at = place(location.hash); if (at) go(...at); });
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((node) => { if (!node.querySelector(".high")) node.open = node.closest("#pe") === null; }));
  draw();
})();
