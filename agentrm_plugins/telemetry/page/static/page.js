"use strict";
// The page: one snapshot in, charts and tables out. Every text comes from agents or servers, so it
// goes into the page as text only: `textContent`, or escaped where Plotly reads markup.
(() => {
  const by = (id) => document.getElementById(id);
  const KINDS = { hang: "hangs", retry: "goes again", error: "fails", cancelled: "cancelled" };
  const SHAPES = { hang: "x", retry: "/", error: ".", cancelled: "-" };
  const config = { responsive: true, displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"] };
  let data = null, paused = false, span = null, quiet = false, sorts = {};
  const open = new Set(), whole = new Set();

  // -- words ---------------------------------------------------------------------------------
  const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;")
    .replace(/>/g, "&gt;");
  const short = (text, most) => text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
  const number = (value) => value === null || value === undefined ? "-"
    : Number(value).toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : 1 });
  const seconds = (value) => value >= 3600 ? `${number(value / 3600)} h`
    : value >= 120 ? `${number(value / 60)} min`
    : value > 0 && value < 1 ? `${Math.round(value * 1000)} ms` : `${number(value)} s`;
  const hash = (text) => {
    let found = 2166136261;
    for (let at = 0; at < text.length; at++) {
      found = Math.imul(found ^ text.charCodeAt(at), 16777619) >>> 0;
    }
    return found;
  };

  // -- colours -------------------------------------------------------------------------------
  const dark = () => document.documentElement.dataset.theme === "dark";
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)
    .trim();
  const hues = new Map();
  const colour = (agent) => {
    if (!hues.has(agent)) {
      // The golden angle keeps neighbours apart; more than fifty agents share hues all the same.
      hues.set(agent, hues.size < 50 ? (205 + hues.size * 137.508) % 360 : hash(agent) % 360);
    }
    const tone = Math.floor((hash(agent) >>> 9) % 3);
    return `hsl(${hues.get(agent).toFixed(0)} ${dark() ? 52 + 6 * tone : 50 + 8 * tone}% ` +
      `${dark() ? 60 - 5 * tone : 52 - 5 * tone}%)`;
  };

  // -- the filter ----------------------------------------------------------------------------
  const wanted = () => by("filter").value.toLowerCase().split(",").map((part) => part.trim())
    .filter(Boolean);
  const fits = (agent, parts) => !parts.length ||
    parts.some((part) => agent.toLowerCase().includes(part));
  const choose = (agent) => {
    by("filter").value = by("filter").value === agent ? "" : agent;
    draw();
  };

  // -- charts --------------------------------------------------------------------------------
  const layout = (more) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", uirevision: "kept",
    font: { family: "inherit", size: 12, color: css("soft") }, showlegend: false,
    margin: { l: 52, r: 14, t: 8, b: 34 }, height: 260,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("soft"), activecolor: css("ink") },
    dragmode: "zoom", hovermode: "closest",
    hoverlabel: { align: "left", bgcolor: css("hover"), font: { color: css("hover-ink") } },
    legend: { orientation: "h", y: 1.01, yanchor: "bottom", x: 0, font: { size: 11.5 } },
    ...more,
  });
  const above = () => innerWidth < 600 ? 46 : 26; // the legend takes two lines on a phone
  const axis = (more) => ({ gridcolor: css("grid"), zerolinecolor: css("line"),
    linecolor: css("line"), automargin: true, ...more });
  // Times are seconds; axes are in seconds, minutes or hours, whichever reads best.
  let unit = { of: 1, name: "s" };
  const scaled = (list) => list.map((at) => at / unit.of);
  const time = () => axis({ ticksuffix: ` ${unit.name}`, separatethousands: true,
    range: scaled(span || [data.first, Math.max(data.now, data.first + 1)]) });
  const chart = (id, traces, made) => {
    const place = by(id);
    quiet = true;
    return Plotly.react(place, traces, made, config).then(() => {
      quiet = false;
      place.dataset.drawn = String(traces.length);
      if (!place.dataset.heard) {
        place.dataset.heard = "yes";
        place.on("plotly_relayout", (change) => zoomed(id, change));
        if (id === "lanes") {
          place.on("plotly_click", (at) => at.points[0] && choose(at.points[0].customdata[0]));
        }
      }
    });
  };
  const nothing = (id, text) => {
    const place = by(id);
    if (place.dataset.heard) { Plotly.purge(place); delete place.dataset.heard; }
    place.dataset.drawn = "empty";
    place.replaceChildren(element("p", { className: "empty" }, text));
  };
  const full = (id) => {
    const only = by(id).querySelector(":scope > .empty");
    if (only) { only.remove(); }
  };
  const TIMED = ["lanes", "depth", "rates"];
  const zoomed = (id, change) => {
    if (quiet || !TIMED.includes(id)) { return; }
    if (change["xaxis.autorange"]) { span = null; }
    else if (change["xaxis.range[0]"] !== undefined) {
      span = [change["xaxis.range[0]"] * unit.of, change["xaxis.range[1]"] * unit.of];
    } else { return; }
    charts();
  };

  const lanes = (parts) => {
    const spans = data.spans, rows = data.rows;
    const shown = spans.row.map((_, at) => at)
      .filter((at) => fits(spans.agents[spans.agent[at]], parts));
    if (!rows.length) { nothing("lanes", "No call held a lane."); return; }
    full("lanes");
    const agentOf = (at) => spans.agents[spans.agent[at]];
    const red = css("red"), amber = css("amber");
    const edges = { hang: red, error: red, retry: amber };
    const custom = (at) => [agentOf(at), escaped(short(agentOf(at), 80)), spans.ticket[at],
      KINDS[spans.kind[at]] || (spans.kind[at] === "open" ? "still runs" : "ends well"),
      seconds(spans.end[at] - spans.begin[at]), seconds(spans.waited[at]), spans.attempt[at],
      escaped(short(spans.endpoints[spans.endpoint[at]] || "-", 80)), number(spans.tokens[at]),
      spans.cause[at] && spans.kind[at] !== "ok" ? ` (${escaped(spans.cause[at])})` : ""];
    const text = "<b>%{customdata[1]}</b><br>call %{customdata[2]}, attempt %{customdata[6]}: " +
      "%{customdata[3]}%{customdata[9]}<br>held %{customdata[4]}, waited %{customdata[5]}<br>" +
      "%{customdata[7]}, %{customdata[8]} tokens<extra></extra>";
    // One trace per kind: a pattern is a trace's own, and a hundred agents' colours are not.
    const bars = ["ok", ...Object.keys(SHAPES)].map((kind) => {
      const own = shown.filter((at) => kind === (SHAPES[spans.kind[at]] ? spans.kind[at] : "ok"));
      const edge = edges[kind];
      return {
        type: "bar", orientation: "h", y: own.map((at) => spans.row[at]), name: kind,
        base: scaled(own.map((at) => spans.begin[at])),
        x: scaled(own.map((at) => spans.end[at] - spans.begin[at])),
        customdata: own.map(custom), hovertemplate: text, width: 0.84,
        marker: {
          color: own.map((at) => colour(agentOf(at))),
          line: { color: edge || css("card"), width: edge ? 1.6 : 0.5 },
          ...SHAPES[kind] && { pattern: { shape: SHAPES[kind], size: 6, solidity: 0.35,
            fillmode: "replace", fgcolor: edge || css("card"), bgcolor: css("card") } },
        },
      };
    }).filter((trace) => trace.x.length);
    const late = shown.filter((at) => spans.late[at] !== null);
    const tails = {
      type: "bar", orientation: "h", y: late.map((at) => spans.row[at]), hoverinfo: "skip",
      base: scaled(late.map((at) => spans.late[at])), width: 0.84,
      x: scaled(late.map((at) => spans.end[at] - spans.late[at])), customdata: late.map(custom),
      marker: { color: "rgba(0,0,0,0)", line: { width: 0 },
        pattern: { shape: "|", size: 4, solidity: 0.25, fgcolor: css("ink"), fgopacity: 0.6,
          fillmode: "overlay" } },
    };
    const tall = Math.min(26, Math.max(9, 900 / rows.length));
    const height = Math.round(Math.max(190, Math.min(1500, tall * rows.length + 82)));
    by("lanes").style.height = `${height}px`;
    chart("lanes", late.length ? [...bars, tails] : bars, layout({
      height, barmode: "overlay", bargap: 0, xaxis: time(),
      margin: { l: 70, r: 14, t: 26, b: 30 }, // above: room for the tools
      yaxis: axis({ type: "category", categoryorder: "array", categoryarray: rows,
        range: [rows.length - 0.5, -0.5], showgrid: false, fixedrange: true,
        tickmode: "array", tickvals: every(rows, tall), ticktext: every(rows, tall)
          .map((row) => escaped(short(row, 18))) }),
    }));
  };
  const every = (rows, tall) => rows.filter((_, at) => at % Math.ceil(15 / tall) === 0);

  const depth = () => {
    const levels = Object.keys(data.depth).sort((a, b) => a - b);
    if (!levels.length) { nothing("depth", "No call waited."); return; }
    full("depth");
    const tones = [css("blue"), css("green"), css("amber"), css("violet"), css("red")];
    chart("depth", levels.map((level, at) => ({
      type: "scatter", mode: "lines", name: `level ${level}`, x: scaled(data.t), y: data.depth[level],
      stackgroup: "levels", line: { width: 0.5, shape: "hv", color: tones[at % tones.length] },
      fillcolor: tones[at % tones.length] + (dark() ? "b0" : "a0"),
      hovertemplate: `level ${level}: %{y} waiting at %{x:.4~g} ${unit.name}<extra></extra>`,
    })), layout({ xaxis: time(), yaxis: axis({ rangemode: "tozero", fixedrange: true }),
      showlegend: true, margin: { l: 48, r: 14, t: above(), b: 34 } }));
  };

  const rates = () => {
    const list = by("endpoint"), seen = list.value;
    const names = data.rates.map((rate) => `${rate.endpoint} \u00b7 ${rate.resource}`);
    if (list.dataset.names !== names.join("\n")) {
      list.dataset.names = names.join("\n");
      list.replaceChildren(...names.map((name, at) => element("option", { value: String(at) },
        name)));
      const busiest = data.rates.map((rate, at) => [rate.resource === "requests"
        ? Math.max(0, ...(data.hits[rate.endpoint] || [])) + 1e-3 : 0, at]);
      list.value = seen || String(busiest.sort((a, b) => b[0] - a[0])[0]?.[1] ?? "");
    }
    list.hidden = names.length < 2;
    const rate = data.rates[Number(list.value)] || data.rates[0];
    if (!rate) { nothing("rates", "No call named an endpoint."); return; }
    full("rates");
    const hits = data.hits[rate.endpoint] || [];
    const marked = data.t.map((_, at) => at).filter((at) => hits[at]);
    const lines = [
      { name: "limit", y: rate.limit, line: { color: css("soft"), width: 1, dash: "dot",
        shape: "hv" } },
      { name: "allowed", y: rate.allowed, line: { color: css("blue"), width: 1.8, shape: "hv" } },
      { name: "used", y: rate.used, fill: "tozeroy", fillcolor: css("green") + "38",
        line: { color: css("green"), width: 1.2 } },
    ].filter((line) => line.y.some((value) => value !== null)).map((line) => ({
      type: "scatter", mode: "lines", x: scaled(data.t), ...line,
      hovertemplate: `${line.name} %{y:.4~g}/min at %{x:.4~g} ${unit.name}<extra></extra>` }));
    if (marked.length) {
      lines.push({ type: "scatter", mode: "markers", name: "429", x: scaled(marked.map((at) => data.t[at])),
        y: marked.map((at) => rate.allowed[at] ?? rate.used[at]),
        customdata: marked.map((at) => hits[at]),
        marker: { symbol: "x", size: 8, color: css("red"), line: { width: 0 } },
        hovertemplate: `%{customdata} answers 429 at %{x:.4~g} ${unit.name}<extra></extra>` });
    }
    chart("rates", lines, layout({ xaxis: time(), showlegend: true,
      yaxis: axis({ rangemode: "tozero", fixedrange: true }),
      margin: { l: 56, r: 14, t: above(), b: 34 } }));
  };

  const waits = () => {
    const kinds = Object.keys(data.waits);
    if (!kinds.length) { nothing("waits", "No call got a lane."); return; }
    full("waits");
    const tones = { interactive: css("blue"), batch: css("amber"), background: css("violet") };
    const longest = Math.max(0.01, ...kinds.map((kind) => data.waits[kind].max));
    chart("waits", kinds.map((kind) => {
      const found = data.waits[kind];
      return { type: "scatter", mode: "lines", x: [0.001, ...found.x, longest],
        y: [0, ...found.y.map((share) => 100 * share), 100],
        line: { shape: "hv", width: 1.8, color: tones[kind] || css("green") },
        name: `${escaped(kind)}: p50 ${seconds(found.p50)}, p95 ${seconds(found.p95)}, ` +
          `p99 ${seconds(found.p99)}`,
        hovertemplate: `${escaped(kind)}: %{y:.1f} % waited at most %{x:.3~s}s<extra></extra>` };
    }), layout({ showlegend: true, hovermode: "closest",
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11.5 } },
      margin: { l: 48, r: 14, t: 26 + 18 * kinds.length, b: 34 }, height: 240 + 18 * kinds.length,
      xaxis: axis({ type: "log", ticksuffix: "s", dtick: 1, exponentformat: "SI" }),
      yaxis: axis({ ticksuffix: " %", range: [0, 103], fixedrange: true }) }));
  };

  const tiers = (parts) => {
    const all = data.sessions.filter((row) => fits(row.name, parts));
    const rows = all.sort((a, b) => b.hot + b.warm - a.hot - a.warm).slice(0, 14);
    if (!rows.length) {
      nothing("tiers", data.sessions.length ? "No session fits the filter."
        : "No managed context was seen.");
      return;
    }
    full("tiers");
    const names = rows.map((row) => escaped(short(row.name, 22)));
    const received = (row) => row.received === null ? "" :
      `<br>${number(row.received.calls)} calls, waited ${seconds(row.received.waited)}, ` +
      `${number(row.received.tokens)} tokens (${row.received.tokens_per_s} a second), ` +
      `${number(row.received.limit_hits)} 429s`;
    const tier = (key, tone) => ({ type: "bar", orientation: "h", name: key,
      y: rows.map((_, at) => at), x: rows.map((row) => row[key]),
      marker: { color: css(tone) }, customdata: rows.map((row) => [escaped(row.name),
        row.compactions, row.recalls, row.window === null ? "-" : number(row.window), received(row)]),
      hovertemplate: `<b>%{customdata[0]}</b><br>${key} %{x} tokens<br>window %{customdata[3]}, ` +
        "compacted %{customdata[1]}, recalled %{customdata[2]} times%{customdata[4]}<extra></extra>" });
    const height = Math.max(260, 17 * rows.length + 60);
    by("tiers").style.height = `${height}px`;
    chart("tiers", [tier("hot", "red"), tier("warm", "amber"), tier("cold", "blue")], layout({
      barmode: "stack", bargap: 0.25, height, showlegend: true,
      margin: { l: 90, r: 14, t: 26, b: 34 }, xaxis: axis({ separatethousands: true }),
      yaxis: axis({ tickmode: "array", tickvals: rows.map((_, at) => at), ticktext: names,
        range: [rows.length - 0.5, -0.5], fixedrange: true, showgrid: false }) }));
  };

  // -- tables --------------------------------------------------------------------------------
  const element = (tag, more, ...inside) => {
    const made = Object.assign(document.createElement(tag), more);
    made.append(...inside);
    return made;
  };
  const table = (id, columns, rows, few) => {
    const most = whole.has(id) ? rows.length : few;
    const place = by(id), sort = sorts[id] || (sorts[id] = { at: null, down: true });
    if (sort.at !== null) {
      const key = columns[sort.at].key;
      rows = [...rows].sort((a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0) *
        (sort.down ? -1 : 1));
    }
    const head = element("tr", {}, ...columns.map((column, at) => {
      const cell = element("th", { className: column.text ? "text" : "", tabIndex: 0,
        scope: "col", onclick: () => again(at), onkeydown: (key) => {
          if (key.key === "Enter" || key.key === " ") { key.preventDefault(); again(at); }
        } }, column.name);
      if (sort.at === at) { cell.ariaSort = sort.down ? "descending" : "ascending"; }
      return cell;
    }));
    const again = (at) => {
      sorts[id] = { at, down: sort.at === at ? !sort.down : !columns[at].text };
      draw();
    };
    const body = rows.slice(0, most).map((row) => element("tr", {}, ...columns.map((column) => {
      const shown = column.show ? column.show(row[column.key], row) : number(row[column.key]);
      const cell = element("td", { className: column.text ? "text" : "" }, shown ?? "-");
      if (column.text) { cell.title = String(row[column.key] ?? ""); }
      return cell;
    })));
    const toggle = () => {
      if (!whole.delete(id)) { whole.add(id); }
      draw();
    };
    const more = rows.length > few ? [element("tr", {}, element("td", { className: "text",
      colSpan: columns.length }, element("button", { type: "button", onclick: toggle },
      whole.has(id) ? "show fewer" : `show ${number(rows.length - few)} more`)))] : [];
    place.replaceChildren(element("thead", {}, head), element("tbody", {}, ...body, ...more));
  };
  const text = (value) => short(String(value || "-"), 60);
  const who = (name) => element("button", { type: "button", title: "Show this agent only",
    onclick: () => choose(name) }, short(name, 44));
  const alarm = (kind) => (value) => value ? element("span", { className: kind }, number(value))
    : "0";
  const story = (_, row) => {
    if (!row.story.length) { return element("span", { title: "it is older than this look" }, "-"); }
    const made = element("details", {}, element("summary", {}, `${row.story.length} events`));
    const fill = () => made.open && made.children.length < 2 && made.append(element("ol", {},
      ...row.story.map(([at, line]) => element("li", {}, element("time", {}, `${at.toFixed(2)} s`),
        element("span", {}, line)))));
    made.open = open.has(row.ticket);
    fill();
    made.addEventListener("toggle", () => {
      if (made.open) { open.add(row.ticket); } else { open.delete(row.ticket); }
      fill();
    });
    return made;
  };
  const tables = (parts) => {
    const slow = [...data.slowest, ...data.oldest].sort((a, b) => b.took - a.took);
    table("slowest", [
      { key: "ticket", name: "call", show: (value) => String(value) },
      { key: "agent", name: "agent", text: true, show: who },
      { key: "class", name: "class", text: true, show: text },
      { key: "endpoint", name: "endpoint", text: true, show: text },
      { key: "took", name: "took", show: seconds }, { key: "waited", name: "waited", show: seconds },
      { key: "held", name: "held", show: seconds }, { key: "attempts", name: "attempts" },
      { key: "kind", name: "end", text: true, show: (value) => element("span",
        { className: value === "ok" ? "" : value === "open" ? "warn" : "bad" }, value) },
      { key: "story", name: "story", text: true, show: story },
    ], slow.filter((row) => fits(row.agent, parts)), 12);
    table("agents", [
      { key: "name", name: "agent", text: true, show: who },
      { key: "class", name: "class", text: true, show: (name, row) => row.drained ?
        element("span", { className: "warn", title: "its new calls are refused" }, "drained") :
        text(name) },
      { key: "level", name: "level" }, { key: "waiting", name: "waiting" },
      { key: "running", name: "running" }, { key: "calls", name: "calls" },
      { key: "served", name: "served", show: seconds },
      { key: "waited", name: "waited", show: seconds }, { key: "tokens", name: "tokens" },
      { key: "cost", name: "cost", show: (value) => value ? value.toFixed(4) : "-" },
      { key: "retries", name: "retries", show: alarm("warn") },
      { key: "zombies", name: "hangs", show: alarm("bad") },
      { key: "refused", name: "refused", show: alarm("bad") },
    ], data.agents.filter((row) => fits(row.name, parts)), 15);
    table("endpoints", [
      { key: "name", name: "endpoint", text: true, show: text },
      { key: "running", name: "running" }, { key: "waiting", name: "waiting" },
      { key: "sent", name: "sent" },
      { key: "limit_hits", name: "429s", show: alarm("warn") },
      { key: "breaker", name: "breaker", text: true, show: (value) => element("span",
        { className: value === "closed" ? "" : "bad" },
        value === "closed" ? "ok" : text(value).replace("_", " ")) },
      { key: "closed_for", name: "closed for", show: (value) => value ? seconds(value) : "-" },
    ], data.endpoints, 64);
    if (data.fleet) { fleet(data.fleet); }
  };
  const fleet = (seen) => {
    by("joined").textContent = seen.text;
    by("joined").className = seen.alarm ? "bad" : "";
    const some = (value) => value === null ? "-" : number(Math.round(100 * value) / 100);
    const ago = (value) => value === null ? "-" : seconds(value);
    const mark = (show) => (value, row) => element("span",
      { className: row.alarm ? "bad" : "" }, show(value));
    table("fleet", [
      { key: "what", name: "what", text: true, show: (value, row) => text(row.resource || value) },
      { key: "name", name: "name", text: true, show: (value) => short(value, 80) },
      { key: "held", name: "held", show: some }, { key: "of", name: "of, or a minute", show: some },
      { key: "left", name: "left", show: some }, { key: "waits", name: "waiting", show: some },
      { key: "seen_s", name: "last exchange", show: ago },
      { key: "lease_s", name: "lease ends in", show: mark(ago) },
      { key: "detail", name: "", text: true, show: mark((value) => short(value, 60)) },
    ], seen.rows, 20);
  };

  const tile = (name, value, kind = "") => element("div", { className: `tile ${kind}` },
    element("b", {}, value), element("span", {}, name));
  const tiles = () => {
    const counts = data.counts;
    const hits = data.endpoints.reduce((sum, row) => sum + row.limit_hits, 0);
    const [what, [now]] = Object.entries(data.pressure).reduce(
      (most, one) => (one[1][0] > most[1][0] ? one : most));
    by("tiles").replaceChildren(
      tile("time seen", seconds(data.now)), tile("agents", number(data.known)),
      tile("calls asked", number(counts.Submitted || 0)),
      tile("calls ended", number(counts.Settled || 0)),
      tile("running now", number(data.running)), tile("waiting now", number(data.waiting)),
      tile(`${what} pressure, 10 s`, `${Math.round(100 * now)} %`, now > 0.5 ? "warn" : ""),
      tile("answers 429", number(hits), hits ? "warn" : ""),
      tile("hangs reaped", number(counts.Reaped || 0), counts.Reaped ? "bad" : ""),
      tile("refused", number(counts.Refused || 0), counts.Refused ? "bad" : ""));
    const left = data.left_out, notes = [];
    if (left.spans) {
      notes.push(`${number(left.spans)} short attempts are not drawn; all are counted.`);
    }
    if (left.agents) { notes.push(`${number(left.agents)} idle agents are not listed.`); }
    if (left.endpoints) { notes.push("More endpoints were seen than are shown."); }
    if (data.dropped) {
      notes.push(`${number(data.dropped)} events were lost because nobody read them in time.`);
    }
    by("note").hidden = !notes.length;
    by("note").textContent = notes.join(" ");
  };
  const legend = (parts) => {
    const busiest = data.agents.filter((row) => fits(row.name, parts)).slice(0, 12);
    const chips = busiest.map((row) => {
      const chip = element("button", { type: "button", onclick: () => choose(row.name) },
        element("i", {}), short(row.name, 32));
      chip.firstChild.style.background = colour(row.name);
      return chip;
    });
    const rest = data.known - busiest.length;
    if (rest > 0 && !parts.length) { chips.push(element("span", {}, `and ${number(rest)} more`)); }
    const marks = [["hang", "hangs, is reaped"], ["retry", "fails, goes again"],
      ["error", "fails"], ["late", "late"]];
    by("legend").replaceChildren(...chips, ...marks.map(([kind, name]) => element("span", {},
      element("i", { className: kind }), name)));
  };

  // -- all of it -----------------------------------------------------------------------------
  const charts = () => {
    const parts = wanted(), seen = span ? span[1] - span[0] : data.now - data.first;
    unit = seen > 7200 ? { of: 3600, name: "h" } : seen > 600 ? { of: 60, name: "min" }
      : { of: 1, name: "s" };
    lanes(parts); depth(); rates(); waits(); tiers(parts);
  };
  const draw = () => {
    if (!data) { return; }
    const empty = !Object.keys(data.counts).length && !data.fleet;
    by("nothing").hidden = !empty;
    document.querySelectorAll("[data-part]").forEach((part) => { part.hidden = empty; });
    by("tiles").hidden = empty;
    by("shared").hidden = !data.fleet;
    if (empty) {
      by("why").textContent = by("state").classList.contains("live")
        ? "Nothing has happened yet. Calls show up here as soon as an agent makes one."
        : "This recording holds no event: no managed call was made while it was written.";
      return;
    }
    const parts = wanted();
    tiles(); legend(parts); charts(); tables(parts);
    const names = data.agents.slice(0, 200).map((row) => row.name);
    if (by("names").childElementCount !== names.length) {
      by("names").replaceChildren(...names.map((name) => element("option", { value: name })));
    }
  };
  const show = (fresh) => {
    data = fresh;
    data.agents.forEach((row) => colour(row.name));
    draw();
    document.body.dataset.shown = String(Number(document.body.dataset.shown || 0) + 1);
  };

  const themed = (theme) => {
    document.documentElement.dataset.theme = theme;
    by("theme").textContent = theme === "dark" ? "Light" : "Dark";
    draw();
  };
  let typed = 0;
  by("filter").addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(draw, 150);
  });
  by("endpoint").addEventListener("change", charts);
  by("unzoom").addEventListener("click", () => { span = null; charts(); });
  by("theme").addEventListener("click", () => themed(dark() ? "light" : "dark"));
  const night = matchMedia("(prefers-color-scheme: dark)");
  night.addEventListener("change", (now) => themed(now.matches ? "dark" : "light"));
  document.documentElement.dataset.theme = night.matches ? "dark" : "light";
  by("theme").textContent = dark() ? "Light" : "Dark";

  const state = (word, kind) => {
    by("state").textContent = word;
    by("state").className = `state ${kind}`;
  };
  const listen = () => {
    const source = new EventSource("events");
    let newest = null, busy = false, lost = 0;
    const next = () => {
      if (newest === null || paused || document.hidden) { busy = false; return; }
      busy = true;
      const fresh = newest;
      newest = null;
      show(JSON.parse(fresh));
      setTimeout(next, 200); // What comes meanwhile is replaced by what is newer.
    };
    source.addEventListener("snapshot", (message) => {
      newest = message.data;
      clearTimeout(lost);
      if (!paused) { state("live", "live"); }
      if (!busy) { next(); }
    });
    source.addEventListener("end", () => {
      source.close();
      clearTimeout(lost);
      state("it has ended", "lost");
    });
    source.addEventListener("error", () => {
      // The server ends each stream after a while, and the browser comes again at once.
      const gone = source.readyState === EventSource.CLOSED;
      clearTimeout(lost);
      lost = setTimeout(() => state(gone ? "no longer allowed: open the page anew"
        : "lost, tries again", "lost"), gone ? 0 : 3000);
    });
    by("pause").hidden = false;
    by("pause").addEventListener("click", () => {
      paused = !paused;
      by("pause").textContent = paused ? "Go on" : "Pause";
      state(paused ? "paused" : "live", paused ? "" : "live");
      if (!paused) { next(); }
    });
    document.addEventListener("visibilitychange", () => { if (!busy) { next(); } });
    state("connecting", "");
  };

  const held = by("data");
  if (held) {
    const recorded = JSON.parse(held.textContent);
    state(recorded.begun ? `recorded from ${new Date(1000 * recorded.begun).toLocaleString()}`
      : "recording", "");
    show(recorded);
  } else {
    listen();
  }
})();
