// What a page does not keep of the rules that hold for all of them, as a list of sentences. The ones
// of WCAG 2.2 AA are those that a script can decide.
const faults = [];
const brief = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 110);
const fault = (rule, element) => faults.push(element ? `${rule}: ${brief(element)}` : rule);
const all = (selector) => [...document.querySelectorAll(selector)];
const isShown = (element) => {
  const box = element.getBoundingClientRect();
  return element.checkVisibility({ visibilityProperty: true }) && box.width > 0 && box.height > 0;
};
// There for those who hear the page, or until it is focused.
const isAside = (element) => element.closest(".visually-hidden, .skip, noscript, option, [aria-hidden=true]");

// The frame of a page.
if (!document.documentElement.lang) fault("the page has no language");
if (!document.title.trim()) fault("the page has no title");
if (all("main").length !== 1) fault("there is not one main part");
const ids = all("[id]").map((element) => element.id);
for (const id of ids.filter((id, at) => ids.indexOf(id) !== at)) fault(`the id ${id} is there twice`);

// Headings: one of the first level, and none that leaves one out on the way down.
const levels = all("h1, h2, h3, h4, h5, h6").filter(isShown).map((heading) => Number(heading.tagName[1]));
if (levels.filter((level) => level === 1).length !== 1) fault(`headings of the first level: ${levels}`);
levels.forEach((level, at) => {
  if (level > (levels[at - 1] ?? 0) + 1) fault(`a level of heading is left out: ${levels}`);
});
for (const heading of all("h1, h2, h3")) if (!heading.textContent.trim()) fault("an empty heading", heading);

// One thing to do stands out.
const primary = all(".button.primary").filter(isShown);
if (primary.length > 1) fault(`${primary.length} main actions`, primary[1]);

// Whatever can be pressed or filled in has a name, can be reached by Tab, and is large enough.
const nameOf = (control) => {
  const by = (control.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id));
  const labels = [...by.filter(Boolean), ...(control.labels ?? [])].map((label) => label.textContent);
  const own = control.matches("input, select, textarea, progress") ? [] : [control.textContent];
  const pictures = [...control.querySelectorAll("img")].map((image) => image.alt);
  return [control.getAttribute("aria-label") ?? "", ...labels, ...own, ...pictures].join("").trim();
};
const controls = "a[href], button, input:not([type=hidden]), select, textarea, summary, progress, [role=button]";
const seen = new Map();
for (const control of all(controls).filter(isShown)) {
  const name = nameOf(control).replace(/\s+/g, " ");
  if (!name) fault("a control without a name", control);
  if (control.matches("progress")) continue;
  if (control.tabIndex < 0) fault("a control that Tab does not reach", control);
  if (control.tabIndex > 0) fault("a control that is out of its order", control);
  if (control.matches("a, button")) {
    // Two of the same words do the same, or they cannot be told apart by ear.
    const does = control.href ?? `${control.formAction} ${control.name}=${control.value} ${control.form?.querySelector("[name=id]")?.value ?? ""}`;
    if ((seen.get(name) ?? does) !== does) fault(`two controls are called “${name}”`, control);
    seen.set(name, does);
  }
  const box = control.getBoundingClientRect();
  const inText = control.matches("p a, li a, dd a, nav a, summary") || isAside(control);
  if (!inText && (box.width < 24 || box.height < 24) && !control.matches("[type=checkbox], [type=radio]")) {
    fault(`a control of ${Math.round(box.width)} by ${Math.round(box.height)} pixels`, control);
  }
}
for (const image of all("img:not([alt])")) fault("a picture without words", image);

// Text stands out from what is behind it.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = ([r, g, b, a], under) => [r, g, b].map((part, at) => part * a + under[at] * (1 - a)).concat(1);
const behind = (element) => {
  if (!element) return rgba(getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff");
  const own = rgba(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own : over(own, behind(element.parentElement));
};
const luminance = (colour) => {
  const [r, g, b] = colour.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (ink, paper) => {
  const [a, b] = [luminance(over(rgba(ink), paper)), luminance(paper)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const expectContrast = (element, style) => {
  const size = parseFloat(style.fontSize);
  const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  const ratio = contrast(style.color, behind(element));
  if (ratio < least) fault(`text at ${ratio.toFixed(2)} to 1`, element);
};
for (const element of all("body *").filter(isShown)) {
  if (isAside(element) || element.closest("[aria-disabled=true]")) continue;
  const says = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  if (says || element.matches("input, select, textarea")) expectContrast(element, getComputedStyle(element));
  if (element.placeholder) expectContrast(element, getComputedStyle(element, "::placeholder"));
  if (element.matches(".button, input:not([type=checkbox], [type=radio]), select, textarea")) {
    const style = getComputedStyle(element);
    const around = behind(element.parentElement);
    const edge = Math.max(contrast(style.borderTopColor, around), contrast(style.backgroundColor, around));
    if (!element.matches(".button") && edge < 3) fault(`an edge at ${edge.toFixed(2)} to 1`, element);
  }
}

// Nothing reaches beyond the sides of the window, and the page does not scroll that way.
const width = document.documentElement.clientWidth;
if (document.scrollingElement.scrollWidth > width) fault(`the page is ${document.scrollingElement.scrollWidth} wide in ${width}`);
for (const element of all("body *").filter(isShown)) {
  const box = element.getBoundingClientRect();
  // A log scrolls by itself.
  if (isAside(element) || element.closest(".log")) continue;
  if (box.right > width + 1 || box.left < -1) fault(`it reaches from ${Math.round(box.left)} to ${Math.round(box.right)}`, element);
}
return faults;
