// The report below the viewer: charts whose cursor is the viewer's frame, and rows of figures.

const FIGURES = 12;
const ROUND_MM = 60; // around a figure
const SPANS_S = [10, 60]; // of long clips, what charts show at a time
const VIEWS = [["from the camera", (x, y, z) => [x, y]], ["from the picture's right", (x, y, z) => [z, y]]];

class Report {
  constructor(app, raw) {
    this.app = app;
    this.charts = [];
    this.figures = [];
    this.span = Infinity; // seconds that charts show
    for (const own of raw.people) {
      const person = app.data.people[own.index];
      const section = document.querySelector(`#report .person[data-index="${own.index}"]`);
      this.drawStrip(section.querySelector(".strip"), person);
      const box = section.querySelector(".curves");
      if (!box) continue;
      const marks = [...(person.contacts ? ["bars: feet on the floor, left above right"] : []),
        ...(person.filled && person.filled.includes(1) ? ["grey: interpolated"] : [])];
      section.querySelector(".curves-note").textContent =
        ["Click or drag in a chart to move the viewer", ...marks].join("; ");
      this.addSpans(section.querySelector(".curves-note"), person);
      for (const panel of raw.panels) this.addChart(box, person, panel, own.degrees);
    }
    // The wheel turns the page; it zooms once the 3D view was clicked.
    if (app.space) {
      const canvas = byId("space-canvas");
      app.space.controls.enableZoom = false;
      canvas.addEventListener("focus", () => { app.space.controls.enableZoom = true; });
      canvas.addEventListener("blur", () => { app.space.controls.enableZoom = false; });
      canvas.addEventListener("pointerdown", () => canvas.focus({ preventScroll: true }));
    }
    this.show();
  }

  /** Of a long clip a list: how much of it the charts show. */
  addSpans(note, person) {
    const { times } = this.app.data;
    const long = times[person.frames.at(-1)] - times[person.frames[0]];
    if (long <= 3 * SPANS_S[0]) return;
    const list = document.createElement("select");
    list.setAttribute("aria-label", "What charts show");
    for (const span of SPANS_S) if (span < long) list.add(new Option(`${span} s`, span));
    list.add(new Option("all", Infinity));
    list.addEventListener("change", () => {
      this.span = Number(list.value);
      for (const other of document.querySelectorAll(".curves-note select")) other.value = list.value;
      this.show();
    });
    this.span = SPANS_S[0];
    note.append(" ", list);
  }

  addChart(box, person, panel, degrees) {
    const { app } = this;
    const colours = { ...app.data.look };
    const values = Object.fromEntries(Object.entries(panel.curves).map(([side, name]) => [side, unpack(degrees[name])]));
    const curves = new Curves(app.data, person, values, colours);
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const title = document.createElement("b");
    title.textContent = panel.title;
    const sign = document.createElement("i");
    sign.textContent = sign.title = `+ ${panel.positive}`;
    caption.append(title, sign);
    const outputs = Object.keys(values).map((side) => {
      const output = document.createElement("output");
      output.style.color = colours[side];
      caption.append(output);
      return [side, output];
    });
    curves.svg.setAttribute("aria-label", `${panel.title} over time`);
    figure.append(caption, curves.svg);
    box.append(figure);
    const go = (event) => app.go(person.frames[curves.rowAt(event.clientX)]);
    curves.svg.addEventListener("pointerdown", (event) => { curves.svg.setPointerCapture(event.pointerId); go(event); });
    curves.svg.addEventListener("pointermove", (event) => { if (event.buttons) go(event); });
    this.charts.push({ person, curves, values, outputs });
  }

  /** Figures of a person, evenly over time, from two sides at one scale; a click shows the frame in the viewer. */
  drawStrip(box, person) {
    const { app } = this;
    const count = Math.min(FIGURES, person.frames.length);
    const rows = Array.from({ length: count }, (_, i) => Math.round(i * (person.frames.length - 1) / Math.max(count - 1, 1)));
    const views = VIEWS.map(([words, view]) => [words, rows.map((row) => person.joints.map((_, joint) => view(...person.offset(row, joint))))]);
    const all = views.flatMap(([, figures]) => figures.flat()).filter(known);
    if (!all.length) return;
    const [high, low] = [Math.min(...all.map(([, y]) => y)) - ROUND_MM, Math.max(...all.map(([, y]) => y)) + ROUND_MM];
    const edges = (points) => {
      const across = points.filter(known).map(([x]) => x);
      return across.length ? [Math.min(...across), Math.max(...across)] : [0, 0];
    };
    const wide = Math.max(...views.flatMap(([, figures]) => figures.map((points) => edges(points)[1] - edges(points)[0]))) + 2 * ROUND_MM;
    for (const [words, figures] of views) {
      const line = document.createElement("div");
      const title = document.createElement("p");
      title.textContent = words;
      line.append(title);
      rows.forEach((row, place) => {
        const button = document.createElement("button");
        const frame = person.frames[row];
        button.type = "button";
        button.title = `Frame ${frame}`;
        const [left, right] = edges(figures[place]);
        const drawing = svg("svg", { viewBox: `${(left + right - wide) / 2} ${high} ${wide} ${low - high}` });
        drawFigure(drawing, person, row, figures[place], app.data.look);
        button.append(drawing);
        if (app.data.clip) button.append(`${app.data.times[frame].toFixed(2)} s`);
        button.addEventListener("click", () => app.go(frame));
        line.append(button);
        this.figures.push({ button, frame });
      });
      box.append(line);
    }
  }

  show() {
    const { data, state } = this.app;
    const time = data.times[state.frame];
    for (const { person, curves, values, outputs } of this.charts) {
      curves.turnTo(time, this.span);
      curves.show(time);
      const row = person.at(state.frame);
      for (const [side, output] of outputs) {
        const value = row < 0 ? NaN : values[side][row];
        output.textContent = Number.isFinite(value) ? `${number(value)}\u00b0` : "\u2013";
      }
    }
    for (const { button, frame } of this.figures) button.classList.toggle("now", frame === state.frame);
  }
}

/** Bones as lines, unsure ones thin, those of the far side first. */
function drawFigure(drawing, person, row, points, look) {
  for (const [child, parent] of person.bones) {
    const [a, b] = [points[child], points[parent]];
    if (!known(a) || !known(b)) continue;
    const isSure = person.isSure(row, child) && person.isSure(row, parent);
    svg("line", {
      x1: a[0].toFixed(0), y1: a[1].toFixed(0), x2: b[0].toFixed(0), y2: b[1].toFixed(0),
      stroke: look[person.sides[child]], ...(isSure ? {} : { class: "unsure" }),
    }, drawing);
  }
}

app.report = new Report(app, JSON.parse(byId("curves").textContent));
