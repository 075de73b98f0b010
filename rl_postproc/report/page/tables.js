// Tables that sort by the column whose heading is pressed; cells without a value stay last.

const collator = new Intl.Collator("en", { numeric: true });

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const numeric = !head.classList.contains("text");
      const before = head.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : numeric;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortRows(table.tBodies[0], column, numeric, descending);
    });
  });
}

function sortRows(body, column, numeric, descending) {
  const rows = [...body.rows].map((row) => {
    const value = row.cells[column].dataset.value;
    return { row, value: numeric && value !== undefined ? Number(value) : value };
  });
  rows.sort((one, other) => {
    if (one.value === undefined || other.value === undefined) {
      return (one.value === undefined) - (other.value === undefined);
    }
    const order = numeric ? one.value - other.value : collator.compare(one.value, other.value);
    return descending ? -order : order;
  });
  body.replaceChildren(...rows.map(({ row }) => row));
}

// Columns are [heading, class]; cells are [value, text] or a value.
function makeTable(caption, columns, rows) {
  const table = element("table", "", { class: "sortable" });
  table.append(element("caption", caption));
  const heads = table.createTHead().insertRow();
  for (const [heading, kind] of columns) {
    const head = element("th", "", { scope: "col", class: kind });
    head.append(element("button", heading, { type: "button" }));
    heads.append(head);
  }
  const body = table.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    cells.forEach((cell, i) => {
      const [value, text] = Array.isArray(cell) ? cell : [cell, cell];
      const made = element("td", text ?? "–", { class: columns[i][1] });
      if (value !== null && value !== undefined) made.dataset.value = value;
      row.append(made);
    });
  }
  makeSortable(table);
  return table;
}
