// Trails: where joints were in the last seconds, in both panels.

const TRAIL_S = 2;
const TRAIL_STEPS = 60; // of one joint, most

/** Draw the trails that the state asks for; `place(index, row, joint)` is a place of the panel in px, or null. */
function drawTrails(pen, data, state, place) {
  if (!state.trail) return;
  pen.save();
  pen.lineCap = "round";
  pen.lineWidth = 2;
  data.people.forEach((person, index) => {
    const now = state.rowOf(index);
    if (now < 0 || state.isPale(index)) return;
    let first = now;
    while (first > 0 && data.times[state.frame] - data.times[person.frames[first - 1]] <= TRAIL_S) first--;
    const stride = Math.ceil(Math.max(now - first, 1) / TRAIL_STEPS);
    person.joints.forEach((name, joint) => {
      if (state.trail !== "all" && state.trail !== name) return;
      pen.strokeStyle = data.look[person.sides[joint]];
      let end = place(index, now, joint);
      for (let row = now; row > first; row -= stride) {
        const before = Math.max(row - stride, first);
        const start = place(index, before, joint);
        // No line over frames in which the person was not seen.
        if (start && end && person.frames[row] - person.frames[before] === row - before) {
          pen.globalAlpha = 0.85 * (before - first + 1) / (now - first + 1);
          pen.beginPath();
          pen.moveTo(...start);
          pen.lineTo(...end);
          pen.stroke();
        }
        end = start;
      }
    });
  });
  pen.restore();
}

/** The list of joints whose trails may be drawn. */
class TrailChoice {
  constructor(box, app) {
    this.box = box;
    this.app = app;
    if (!app.data.clip || !app.data.people.length) return;
    const joints = [...new Set(app.data.people.flatMap((person) => person.joints))];
    for (const [value, words] of [["", "No trails"], ["all", "All joints"], ...joints.map((name) => [name, name.replaceAll("_", " ")])]) {
      box.add(new Option(words, value));
    }
    box.hidden = false;
    box.addEventListener("change", () => this.choose(box.value));
    this.last = "all";
  }

  choose(trail) {
    if (this.box.hidden) return;
    this.box.value = this.app.state.trail = trail;
    this.last = trail || this.last;
    this.app.draw();
  }

  toggle() { this.choose(this.app.state.trail ? "" : this.last); }
}
