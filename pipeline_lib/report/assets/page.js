"use strict";
// Sorting, filtering, deep links, and values on hover. Without it, the page shows all that it has.
(() => {
  const every = (selector, within = document) => [...within.querySelectorAll(selector)];
  const rowsOf = (table) => [...table.tBodies[0].rows];

  // -- Sorting: what has no value comes last either way, and equal rows keep their order. ------------------------------------------
  const valueOf = (row, column, isNumber) => {
    const cell = row.cells[column];
    const text = (cell.dataset.value ?? cell.textContent).trim();
    return isNumber ? (text === "" ? null : Number(text)) : text || null;
  };
  const compare = (a, b) =>
    typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });

  function sort(button) {
    const heading = button.closest("th");
    const table = heading.closest("table");
    const turn = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    every("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
    const isNumber = "number" in heading.dataset;
    const keyed = rowsOf(table).map((row) => [valueOf(row, heading.cellIndex, isNumber), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : turn * compare(a, b)));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }
  every(".sortable thead button").forEach((button) => button.addEventListener("click", () => sort(button)));

  // -- Filters: one form a table; a row must match all of them. --------------------------------------------------------------------
  function filter(form) {
    const table = document.getElementById(form.dataset.filters);
    const asked = every("select", form).filter((select) => select.value !== "");
    const words = form.elements.words.value.trim().toLowerCase();
    const rows = rowsOf(table);
    let shown = 0;
    for (const row of rows) {
      const fits = asked.every(({ name, value }) =>
        name === "figures" ? (row.dataset.figures ?? "").split(" ").includes(value) : row.dataset[name] === value,
      );
      row.hidden = !(fits && (!words || row.textContent.toLowerCase().includes(words)));
      shown += row.hidden ? 0 : 1;
    }
    const noun = table.dataset.noun;
    form.elements.shown.value = shown === rows.length ? `${shown} ${noun}` : `${shown} of ${rows.length} ${noun}`;
  }
  for (const form of every("form.filters")) {
    form.addEventListener("input", () => filter(form));
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  function choose(select, value) {
    select.form.reset();
    select.value = value;
    filter(select.form);
  }

  // -- Links: into closed parts, to a figure's rows, to claims of one verdict. -----------------------------------------------------
  function show(id) {
    const target = id && document.getElementById(id);
    if (!target) return;
    const form = target.matches("tr[hidden]") && document.querySelector(`[data-filters="${target.closest("table").id}"]`);
    if (form) {
      form.reset();
      filter(form);
    }
    for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (target.matches("section.table")) target.querySelector("details").open = true;
    target.scrollIntoView();
  }
  const asked = () => show(decodeURIComponent(location.hash.slice(1)));
  addEventListener("hashchange", asked);

  for (const link of every("a[data-rows]")) {
    link.addEventListener("click", () => {
      const id = link.hash.slice(1);
      const select = document.querySelector(`#${CSS.escape(id)} select[name=figures]`);
      if (select) {
        const own = every("option", select).find((option) => option.dataset.figure === link.dataset.rows);
        choose(select, own ? own.value : "");
      }
      show(id);
    });
  }
  for (const link of every("a[data-choose]")) {
    link.addEventListener("click", () =>
      choose(document.querySelector('[data-filters="claims-table"] select[name=verdict]'), link.dataset.choose),
    );
  }

  // -- Values on hover: plotly's text becomes a script when the first chart is opened. ---------------------------------------------
  function plotly() {
    if (!window.Plotly) {
      const script = document.createElement("script");
      script.textContent = document.getElementById("plotly").textContent;
      document.head.append(script);
    }
    return window.Plotly;
  }
  for (const twin of every("details.twin")) {
    twin.addEventListener("toggle", () => {
      const place = twin.querySelector(".chart");
      if (!twin.open || place.childElementCount) return;
      const { data, layout } = JSON.parse(twin.querySelector('script[type="application/json"]').textContent);
      plotly().newPlot(place, data, layout, { responsive: true, displayModeBar: false });
    });
  }
  asked();
})();
