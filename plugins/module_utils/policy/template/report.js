"use strict";
// All text comes in by textContent: nothing of the data becomes markup.
(function () {
  const GROUPS = 60, ITEMS = 50, VMS = 25, PRINTED = 2000, OPENED = 12;
  const at = (id) => document.getElementById(id);
  const data = JSON.parse(at("tables").textContent);
  const number = (value) => value.toLocaleString("en");

  // Copies of the page's own parts, their slots filled in.
  function copy(id) {
    const node = at(id).content.firstElementChild.cloneNode(true), slots = {};
    node.querySelectorAll("[data-s]").forEach((one) => { slots[one.dataset.s] = one; });
    return { node, slots };
  }
  function fill(slots, texts) {
    for (const name in texts) if (slots[name]) slots[name].textContent = texts[name];
  }
  function element(tag, kind, text) {
    const made = document.createElement(tag);
    made.className = kind;
    made.textContent = text;
    return made;
  }
  function pill(slot, kind, text) {
    slot.className = "pill " + (/^[a-z_]+$/.test(kind) ? kind : "");
    slot.textContent = text;
  }
  const word = (outcome) => Object.hasOwn(data.words, outcome) ? data.words[outcome] : outcome;

  // Findings, a number for each in these lists.
  const rule = [], subject = [], stage = [], outcome = [], clause = [], reason = [], since = [], fresh = [], why = new Map();
  data.groups.forEach((group) => {
    const [ofRule, ofStage, ofOutcome, ofReason, ofSince, isNew, subjects, clauses] = group;
    const named = data.rules[ofRule][0];
    if (!why.get(named)) why.set(named, ofReason);
    subjects.forEach((one, place) => {
      rule.push(ofRule); subject.push(one); stage.push(ofStage); outcome.push(ofOutcome); reason.push(ofReason);
      since.push(ofSince); fresh.push(isNew); clause.push(Array.isArray(clauses) ? clauses[place] : clauses);
    });
  });

  // Search: a word is looked for once in each text, however many findings share it.
  const lower = (texts) => texts.map((one) => [].concat(one).flat().join("\n").toLowerCase());
  let tables = null;
  function finder(said) {
    tables = tables || [[rule, lower(data.rules)], [subject, lower(data.subjects)], [clause, lower(data.clauses)],
      [reason, lower(data.reasons)]];
    const words = said.toLowerCase().split(/\s+/).filter(Boolean).map((one) =>
      tables.map(([places, texts]) => [places, texts.map((text) => text.includes(one))]));
    return (row) => words.every((parts) => parts.some(([places, hits]) => hits[places[row]]));
  }
  const values = {
    severity: (row) => data.rules[rule[row]][2], outcome: (row) => data.outcomes[outcome[row]],
    stage: (row) => data.stages[stage[row]], site: (row) => data.subjects[subject[row]][1],
    vm: (row) => data.subjects[subject[row]][0], age: (row) => fresh[row] ? "new" : "known",
  };

  // Long lists are shown piece by piece.
  function chunks(button, size, all, draw, what) {
    let shown = 0;
    function more() {
      all.slice(shown, shown + size).forEach(draw);
      shown = Math.min(shown + size, all.length);
      button.hidden = shown >= all.length;
      const left = all.length - shown;
      button.textContent = left ? "Show " + number(Math.min(size, left)) + " more of " + number(left) + " " + what : "";
    }
    button.onclick = more;
    more();
  }

  function drawItem(list, byVm, row) {
    const { node, slots } = copy("t-item"), [vm, site, place] = data.subjects[subject[row]];
    const [id, title, severity] = data.rules[rule[row]];
    pill(slots.outcome, data.outcomes[outcome[row]], word(data.outcomes[outcome[row]]));
    fill(slots, {
      name: byVm ? title : vm, where: byVm ? severity + " · " + id : site === vm ? "" : site,
      clause: data.clauses[clause[row]], place: byVm ? "" : place, stage: data.stages[stage[row]],
      reason: byVm || reason[row] !== why.get(id) ? data.reasons[reason[row]] : "",
      since: fresh[row] ? "new" : since[row] ? "since " + data.dates[since[row]].slice(0, 10) : "",
    });
    slots.since.classList.toggle("new", Boolean(fresh[row]));
    list.append(node);
  }

  function drawGroup(target, byVm, rows, whole) {
    const { node, slots } = copy("t-group"), first = rows[0];
    const [id, title, severity, , controls] = data.rules[rule[first]];
    const [vm, site, place] = data.subjects[subject[first]];
    if (byVm) {
      slots.severity.remove();
      fill(slots, { title: vm, about: [site === vm ? "" : site, place].filter(Boolean).join(" · ") });
      slots.controls.remove();
    } else {
      pill(slots.severity, severity, severity);
      const names = [...new Set(rows.slice(0, 400).map((row) => data.subjects[subject[row]][0]))];
      const rest = rows.length <= 400 ? names.length - 3 : rows.length - 3;
      fill(slots, {
        title, about: names.slice(0, 3).join(", ") + (rest > 0 ? " and " + number(rest) + " more" : ""),
        reason: data.reasons[why.get(id)],
        fix: rows.map((row) => data.rules[rule[row]][3]).find(Boolean) || "",
      });
      slots.controls.replaceChildren(element("code", "", id), ...controls.map((one) => element("span", "control", one)));
    }
    const counts = new Map();
    rows.forEach((row) => counts.set(outcome[row], (counts.get(outcome[row]) || 0) + 1));
    slots.counts.replaceChildren(...[...counts].map(([one, count]) =>
      element("span", "n " + data.outcomes[one], number(count) + " " + word(data.outcomes[one]))));
    let drawn = false;
    function draw() {
      if (drawn || !node.open) return;
      drawn = true;
      const more = element("button", "more", "");
      more.type = "button";
      slots.items.after(more);
      chunks(more, whole ? rows.length : ITEMS, rows, (row) => drawItem(slots.items, byVm, row), "findings");
    }
    node.addEventListener("toggle", draw);
    node.open = whole;
    draw();
    target.append(node);
    return node;
  }

  const groups = at("groups"), search = at("search"), by = at("by");
  function matching() {
    const fits = finder(search.value), rows = [];
    const chosen = Array.from(document.querySelectorAll("select[data-filter]")).filter((one) => one.value);
    for (let row = 0; row < rule.length; row++) {
      if (chosen.every((one) => values[one.dataset.filter](row) === one.value) && fits(row)) rows.push(row);
    }
    return rows;
  }
  function update(printing) {
    let rows = matching();
    const byVm = by.value === "vm", made = new Map(), cut = at("cut"), all = rows.length;
    cut.hidden = !(printing && all > PRINTED);
    if (!cut.hidden) rows = rows.slice(0, PRINTED);
    cut.textContent = "The worst " + number(PRINTED) + " of " + number(all) + " findings are printed; filter them to "
      + "print others.";
    rows.forEach((row) => {
      const key = byVm ? subject[row] : data.rules[rule[row]][0];
      if (made.has(key)) made.get(key).push(row); else made.set(key, [row]);
    });
    const found = [...made.values()];
    groups.replaceChildren();
    const whole = printing || at("open").dataset.all === "yes" || all <= OPENED;
    chunks(at("more"), printing ? found.length : GROUPS, found, (one) => drawGroup(groups, byVm, one, whole),
      byVm ? "VMs" : "rules");
    at("count").textContent = all === rule.length ? number(all) : number(all) + " of " + number(rule.length);
    at("empty").hidden = all > 0;
  }
  function only(name, value) {
    const select = document.querySelector("select[data-filter=" + name + "]");
    if (![...select.options].some((one) => one.value === value)) select.add(new Option(value, value));
    select.value = value;
    update(false);
    at("findings").scrollIntoView();
    select.focus({ preventScroll: true });
  }

  if (groups) {
    document.querySelectorAll("select[data-filter]").forEach((one) => one.addEventListener("change", () => update(false)));
    search.addEventListener("input", () => update(false));
    by.addEventListener("change", () => update(false));
    at("filters").addEventListener("submit", (event) => event.preventDefault());
    at("open").addEventListener("click", (event) => {
      const opened = event.target.dataset.all !== "yes";
      event.target.dataset.all = opened ? "yes" : "";
      event.target.textContent = opened ? "Close all" : "Open all";
      update(false);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
        event.preventDefault();
        search.focus();
      } else if (event.key === "Escape" && document.activeElement === search && search.value) {
        event.preventDefault();
        search.value = "";
        update(false);
      }
    });
    addEventListener("beforeprint", () => update(true));
    addEventListener("afterprint", () => update(false));
    document.querySelectorAll("[data-only]").forEach((one) => {
      one.hidden = false;
      one.addEventListener("click", () => only("age", one.dataset.only));
    });
    update(false);
  }

  function drawVm([vm, site, passed, waived, unknown, errors, failed, health, drill]) {
    const { node, slots } = copy("t-vm"), counts = { passed, waived, unknown, errors, failed };
    const total = passed + waived + unknown + errors + failed;
    fill(slots, {
      site: site === vm ? "" : site, failed: failed + errors ? number(failed + errors) : "",
      unknown: unknown ? number(unknown) : "", waived: waived ? number(waived) : "",
      passed: number(passed) + " of " + number(total),
    });
    const button = element("button", "link", vm);
    button.type = "button";
    button.addEventListener("click", () => only("vm", vm));
    if (groups && total > passed) slots.vm.replaceChildren(button); else slots.vm.textContent = vm;
    [["health", health], ["drill", drill]].forEach(([name, value]) => {
      if (!slots[name]) return;
      const mark = element("span", "", "");
      pill(mark, value, value.replaceAll("_", " "));
      slots[name].replaceChildren(...(value ? [mark] : []));
    });
    let start = 0;
    for (const kind in counts) {
      const part = slots.bar.querySelector("." + kind), width = total ? 100 * counts[kind] / total : 0;
      part.setAttribute("x", start);
      part.setAttribute("width", width);
      start += width;
    }
    slots.bar.setAttribute("aria-label", Object.keys(counts).reverse().filter((kind) => counts[kind])
      .map((kind) => counts[kind] + " " + kind).join(", ") || "applies to none");
    at("vm-rows").append(node);
  }
  if (at("vm-rows")) {
    const names = data.vms.map((row) => (row[0] + "\n" + row[1]).toLowerCase());
    const drawVms = () => {
      const words = at("vm-search").value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = data.vms.filter((row, place) => words.every((one) => names[place].includes(one)));
      at("vm-rows").replaceChildren();
      at("vm-count").textContent = (found.length < data.vms.length ? number(found.length) + " of " : "")
        + number(data.vms.length);
      chunks(at("vm-more"), VMS, found, drawVm, "VMs");
    };
    at("vm-search").addEventListener("input", drawVms);
    at("vm-search").parentElement.hidden = data.vms.length < 20;
    drawVms();
  }

  const choice = at("framework");
  if (choice) {
    const all = document.querySelectorAll(".framework");
    const choose = () => all.forEach((one, place) => { one.hidden = String(place) !== choice.value; });
    choice.addEventListener("change", choose);
    choose();
  }
  document.querySelectorAll("#filters, #frameworks .filters").forEach((one) => { one.hidden = false; });
})();
