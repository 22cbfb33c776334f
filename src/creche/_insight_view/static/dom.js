// Small helpers for elements. Text only ever becomes text.

export const $ = (id) => document.getElementById(id);

/** Make an element: `make("p", {className: "soft"}, "text", another)`. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Set a property if it is another: what stays equal costs no layout. */
export function set(element, key, value) {
  if (element[key] !== value) element[key] = value;
}

export function setData(element, key, value) {
  if (element.dataset[key] !== value) element.dataset[key] = value;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}
