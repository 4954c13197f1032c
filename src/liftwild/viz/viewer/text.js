// Words about numbers: the tip beside a joint, and the page that says what everything is.

/** Seconds as 1:02.35, with hours where there are some. */
function clock(seconds) {
  const hundredths = Math.round(seconds * 100);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  const minutes = Math.floor(hundredths / 6000);
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

function number(value, digits = 0) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? (0).toFixed(digits) : text).replace("-", "\u2212");
}

function showTip(tip, { data, state, tipAt }) {
  const row = state.hover ? state.rowOf(state.hover.person) : -1;
  tip.hidden = row < 0;
  if (tip.hidden) return;
  const { person: index, joint } = state.hover;
  const person = data.people[index];
  const place = (values) => ["x", "y", "z"].map((name, axis) => `${name} ${number(values[axis])}`).join("   ") + "  mm";
  const title = document.createElement("b");
  title.textContent = person.names[joint] + (data.people.length > 1 ? ` \u00b7 ${state.label(index)}` : "");
  const lines = [];
  const offset = person.offset(row, joint);
  const pelvis = person.pelvis(row);
  if (known(offset)) {
    if (pelvis && known(pelvis)) lines.push(["from camera  ", place(offset.map((value, axis) => value + pelvis[axis]))]);
    lines.push(["from pelvis  ", place(offset)]);
  }
  const spread = person.number("spread", row, joint);
  if (Number.isFinite(spread)) lines.push(["depth spread  ", `\u00b1 ${number(spread)} mm`]);
  const point = person.point(row, joint);
  if (known(point)) lines.push(["picture  ", `${number(point[0], 1)}, ${number(point[1], 1)}  px`]);
  for (const [name, what] of [["inside  ", "inside"], ["not hidden  ", "visible"]]) {
    const chance = person.number(what, row, joint);
    if (Number.isFinite(chance)) lines.push([name, number(chance, 2)]);
  }
  lines.push(["confidence  ", number(person.sureness(row, joint), 2)]);
  tip.replaceChildren(title, ...lines.flatMap(([name, value], place) => {
    const label = document.createElement("i");
    label.textContent = name;
    return [...(place ? ["\n"] : []), label, value];
  }));
  const { offsetWidth: width, offsetHeight: height } = tip;
  const [x, y] = tipAt;
  tip.style.left = `${Math.max(8, Math.min(x + 16, innerWidth - width - 8))}px`;
  tip.style.top = `${y + 18 + height < innerHeight ? y + 18 : Math.max(8, y - height - 18)}px`;
}

function fillAbout(box, data, keys) {
  const { about, pictures } = data;
  const joints = data.people.length ? data.people[0].names.length : about.joint_names.length;
  const camera = about.camera;
  const facts = [
    ["Unit", about.frame.unit],
    ["Zero", about.frame.zero + (data.placed ? "; where the pelvis is in space is known too" : "")],
    ["Axes", about.frame.axes],
    ["Scale", about.frame.scale],
    ["Place", data.placed ? "people stand where they were placed in space"
      : "not known: people stand side by side, each pelvis at its own zero, at one height"],
    ["Floor", data.levelled ? "the room's, as the feet show it" : "at the lowest joint (of a clip: but for 2 % of the frames), square to the camera; it is not the ground of the picture"],
    ["Camera", camera ? `fx ${camera.fx.toFixed(1)}, fy ${camera.fy.toFixed(1)}, cx ${camera.cx.toFixed(1)}, `
      + `cy ${camera.cy.toFixed(1)} px; ${camera.from}` : "not used"],
    ["Joints", `${joints} (${about.skeleton || "own set"}); left and right are the person's own`],
    ["Confidence", about.confidence_is || "in [0, 1]; what it is was not kept"],
    ["Unsure", `joints with confidence under ${data.look.unsure} are pale in 3D and hollow in the picture; those hidden on request are missing`],
    ...(data.people.some((person) => person.inside) ? [["Inside",
      "joints with a chance under 0.5 to lie inside the picture are pale in 3D and not drawn in the picture"]] : []),
    ...(data.people.some((person) => person.contacts) ? [["Contacts",
      "a foot that is on the floor has a disc below it in 3D, a line in the picture"]] : []),
    ...(data.people.some((person) => person.filled && person.filled.includes(1)) ? [["Interpolated",
      "poses of frames in which the person was not found are pale and thin, as unsure joints"]] : []),
    ["Steps", about.steps.length ? about.steps.join("; ") : "none after the network"],
    ["Pictures", !pictures.frames.length ? "none were kept"
      : pictures.every === 1 ? "all that were given" : `every ${pictures.every === 2 ? "second" : `${pictures.every}th`} was kept, to keep the file small; poses are all here`],
    ["Written by", `liftwild ${data.liftwild}; 3D by three.js (MIT)`],
  ];
  for (const [title, rows] of [["What the numbers mean", facts], ["Keys", keys]]) {
    const head = document.createElement("h2");
    head.textContent = title;
    const list = document.createElement("dl");
    for (const [name, words] of rows) {
      for (const [tag, text] of [["dt", name], ["dd", words]]) {
        const part = document.createElement(tag);
        part.textContent = text;
        list.append(part);
      }
    }
    box.append(head, list);
  }
}
