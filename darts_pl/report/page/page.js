"use strict";
// Interaction only: without this script everything is visible, with the weights after the last epoch.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const compare = (first, second) => {
        const a = value(first), b = value(second);
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = Number.isNaN(Number(a)) || Number.isNaN(Number(b)) ? a.localeCompare(b) : a - b;
        return falling ? -order : order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
const stored = document.getElementById("mixing-data");
if (stored) {
  const data = JSON.parse(stored.textContent);
  const slider = document.getElementById("epoch"), board = slider.closest(".mixing");
  const squares = board.querySelectorAll(".at-epoch .square"), cursors = board.querySelectorAll(".cursor");
  const previews = board.querySelectorAll(".preview"), captions = board.querySelectorAll(".at-epoch figcaption, .of-epoch");
  const titles = [...captions].map((caption) => caption.textContent.replace(/ after epoch \d+$/, ""));
  const show = () => {
    const row = Number(slider.value), part = data.epochs.length > 1 ? row / (data.epochs.length - 1) : 1;
    document.getElementById("epoch-name").textContent = data.epochs[row];
    captions.forEach((caption, index) => { caption.textContent = `${titles[index]} after epoch ${data.epochs[row]}`; });
    squares.forEach((square, index) => {
      const strength = data.weights[row][index], hint = square.firstElementChild;
      square.setAttribute("fill-opacity", strength);
      hint.textContent = hint.textContent.replace(/[^:]*$/, ` ${(data.lowest + strength * (data.largest - data.lowest)).toFixed(3)}`);
    });
    cursors.forEach((cursor) => {
      const start = Number(cursor.dataset.from), x = start + part * (Number(cursor.dataset.to) - start);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    });
    previews.forEach((preview, index) => { preview.hidden = index !== data.shown[row]; });
  };
  slider.parentElement.hidden = false;
  slider.addEventListener("input", show);
  show();
}
