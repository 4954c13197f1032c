// Settings in plain words, remembered in this browser, and what they mean in a request.

import { askJson } from "./api.js";
import { byId, made } from "./parts.js";

const KEY = "liftwild-settings";
const LIVE_PEOPLE = 6; // before a camera, most
const FIRST = { weights: "", fov: "", own_fov: "", height_m: "", people: "", whole: false, smooth: true };
const MODELS = {
  base: ["Standard", "the most exact that is free for any use"],
  small: ["Fast", "a little less exact, about four times as fast"],
  "base-research": ["Research", "more exact on photos from outside; for research only"],
};

let values = remembered();

function remembered() {
  try {
    return { ...FIRST, ...JSON.parse(localStorage.getItem(KEY)) };
  } catch {
    return { ...FIRST }; // what is there was written by something else, or storage is forbidden
  }
}

function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify(values));
  } catch { /* storage is forbidden: they hold for this visit */ }
}

/** The settings as the query of a request; of the camera without those that it does not know. */
export function query(isLive = false) {
  const fov = values.fov === "own" ? values.own_fov : values.fov;
  const all = {
    weights: isLive ? "" : values.weights, fov, height_m: values.height_m,
    people: isLive ? values.people && String(Math.min(Number(values.people), LIVE_PEOPLE)) : values.people,
    ...(isLive ? {} : { whole: values.whole ? "true" : "", smooth: values.smooth ? "" : "false" }),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
}

/** Wire the dialog; Refused if the server does not say which weights it has. */
export async function wireSettings() {
  const dialog = byId("settings");
  const form = byId("settings-form");
  byId("settings-open").addEventListener("click", () => {
    show();
    dialog.showModal();
  });
  form.addEventListener("input", () => {
    for (const [name, first] of Object.entries(FIRST)) {
      const field = form.elements[name];
      if (!field) continue;
      if (typeof first === "boolean") values[name] = field.checked;
      else if (field.type !== "number" || field.validity.valid) values[name] = field.value;
    }
    byId("own-fov-row").hidden = values.fov !== "own";
    keep();
  });
  byId("settings-reset").addEventListener("click", () => {
    values = { ...FIRST };
    keep();
    show();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const { default: usual, models } = await askJson("/v1/models");
  const offered = models.map((model) => model.name);
  if (!offered.includes(values.weights)) values.weights = "";
  FIRST.weights = usual;
  const names = [...Object.keys(MODELS).filter((name) => offered.includes(name)), ...offered.filter((name) => !MODELS[name])];
  byId("models").append(...names.map((name) => {
    const [title, words] = MODELS[name] || [name, "weights of this server"];
    const radio = made("input", { type: "radio", name: "weights", value: name });
    return made("label", { className: "model" }, radio, made("b", { textContent: title }), made("span", { className: "small", textContent: words }));
  }));
  show();
}

function show() {
  const form = byId("settings-form");
  for (const [name, value] of Object.entries({ ...values, weights: values.weights || FIRST.weights })) {
    const field = form.elements[name];
    if (!field) continue;
    if (typeof value === "boolean") field.checked = value;
    else field.value = value;
  }
  byId("own-fov-row").hidden = values.fov !== "own";
}
