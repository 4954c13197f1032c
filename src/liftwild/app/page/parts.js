// Small parts of the page.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children. */
export function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Hand `blob` to the user as a file. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = made("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** Seconds as 0:07 or 1:02:03. */
export function clock(seconds) {
  const whole = Math.round(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return `${hours ? `${hours}:${two(Math.floor(whole / 60) % 60)}` : Math.floor(whole / 60)}:${two(whole % 60)}`;
}

export const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;
