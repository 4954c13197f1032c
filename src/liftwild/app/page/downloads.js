// The menu of files: what they are for, in plain words.

import { ask, fileNameOf } from "./api.js";
import { say } from "./notices.js";
import { byId, made, save } from "./parts.js";

// Of each format: its title, and what it holds.
const GROUPS = [
  ["To animate", {
    glb: ["Blender, Unity, the web", "glTF: everybody in one scene (.glb)"],
    bvh: ["Motion capture", "BVH: for Blender, Maya, MotionBuilder"],
  }],
  ["To measure movement", {
    angles: ["Joint angles", "a table of knees, hips, elbows, ... (.csv)"],
    trc: ["OpenSim: markers", "places of the joints (.trc)"],
    mot: ["OpenSim: angles", "a motion of its models (.mot)"],
    markers: ["OpenSim: marker set", "to scale a model with (.xml)"],
    c3d: ["Motion lab", "C3D: for Visual3D, Mokka, Nexus"],
  }],
  ["For a spreadsheet or statistics", {
    csv: ["Table, a line a joint", "for R, pandas, Excel (.csv)"],
    "csv-wide": ["Table, a line a frame", "a column for each number (.csv)"],
    parquet: ["Large table", "Parquet: for pandas, DuckDB, Spark"],
  }],
  ["For programs", {
    json: ["All that is known", "JSON; liftwild reads it again"],
    npz: ["NumPy arrays", "for Python (.npz)"],
    coco: ["COCO keypoints", "for labelling tools and training (.json)"],
  }],
];

let document_ = null;

export function wireDownloads() {
  const dialog = byId("downloads");
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

/** Open the menu of a recording's files; `picked`: the person who is chosen, or null. */
export function openDownloads(recording, picked) {
  document_ = recording;
  const who = byId("download-person");
  who.replaceChildren(new Option("everybody", ""), ...recording.people.map(({ id }) => new Option(`person ${id}`, id)));
  who.value = picked === null ? "" : String(picked);
  byId("download-problem").hidden = true;
  const { files } = recording.links;
  const known = new Set(GROUPS.flatMap(([, formats]) => Object.keys(formats)));
  const others = Object.fromEntries(Object.keys(files).filter((name) => !known.has(name)).map((name) => [name, [name, ""]]));
  byId("formats").replaceChildren(...[...GROUPS, ["Others", others]].flatMap(([title, formats]) => {
    const offered = Object.entries(formats).filter(([name]) => files[name]);
    if (!offered.length) return [];
    return [made("h3", { textContent: title }), made("ul", {}, ...offered.map(([name, words]) => made("li", {}, makeButton(name, words))))];
  }));
  byId("downloads").showModal();
}

function makeButton(name, [title, words]) {
  const button = made("button", { type: "button" }, made("b", { textContent: title }), made("small", { textContent: words }));
  button.dataset.format = name;
  button.addEventListener("click", () => fetchFile(name, button));
  return button;
}

async function fetchFile(name, button) {
  const address = new URL(document_.links.files[name], location.href);
  if (byId("download-person").value) address.searchParams.set("person", byId("download-person").value);
  if (byId("download-rig").value !== "plain") address.searchParams.set("rig", byId("download-rig").value);
  const problem = byId("download-problem");
  problem.hidden = true;
  button.setAttribute("aria-busy", "true");
  try {
    const response = await ask(address);
    const fileName = fileNameOf(response);
    save(await response.blob(), fileName);
    say(`${fileName} is downloaded`);
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  } finally {
    button.removeAttribute("aria-busy");
  }
}
