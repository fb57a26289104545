"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => { const cell = row.cells[at]; const raw = cell.dataset.sort ?? cell.textContent; const number = Number(raw); return raw !== "" && !Number.isNaN(number) ? number : raw; };
    const rank = (a, b) => {
      if (typeof a === "number" && typeof b === "number") return a - b;
      if (typeof a === "number") return 1;
      if (typeof b === "number") return -1;
      return String(a).localeCompare(String(b));
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => rank(value(a), value(b)) * (down ? -1 : 1));
    table.tBodies[0].append(...rows);
  }));
}
for (const chart of document.querySelectorAll(".chart")) {
  const group = at => chart.querySelector(`g[data-series="${at}"]`);
  for (const key of chart.querySelectorAll(".key")) {
    const at = key.dataset.series;
    key.addEventListener("click", () => {
      const off = key.classList.toggle("off");
      key.setAttribute("aria-pressed", String(!off));
      group(at).style.display = off ? "none" : "";
    });
    const light = on => {
      for (const other of chart.querySelectorAll("g.series")) other.classList.toggle("dim", on && other.dataset.series !== at);
      group(at).classList.toggle("lit", on);
    };
    key.addEventListener("mouseenter", () => { if (!key.classList.contains("off")) light(true); });
    key.addEventListener("mouseleave", () => light(false));
  }
}
