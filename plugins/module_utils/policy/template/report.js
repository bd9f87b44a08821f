"use strict";
(function () {
  const body = document.getElementById("findings");
  if (!body) return;
  const rows = Array.from(body.rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const search = document.getElementById("search");
  const selects = Array.from(document.querySelectorAll("select[data-filter]"));
  const count = document.getElementById("count");
  const empty = document.getElementById("empty");
  function update() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, number) => {
      const fits = selects.every((one) => !one.value || row.dataset[one.dataset.filter] === one.value)
        && words.every((word) => texts[number].includes(word));
      row.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    count.textContent = shown === rows.length ? String(rows.length) : shown + " of " + rows.length;
    empty.hidden = shown > 0;
  }
  search.addEventListener("input", update);
  selects.forEach((one) => one.addEventListener("change", update));
  document.getElementById("filters").classList.add("ready");
})();
