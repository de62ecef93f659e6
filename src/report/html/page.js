"use strict";
// Adds to a page that is complete without it: the keyboard, search, copying,
// the choice of colours. It reads only what is in the page, and makes no
// markup from texts.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, from) => Array.from((from || document).querySelectorAll(selector));
  const keep = (name, value) => { try { if (value === undefined) return localStorage.getItem(name); localStorage.setItem(name, value); } catch { /* pages from files may keep nothing */ } return null; };

  // Colours.
  const theme = document.querySelector(".theme");
  const kept = keep("pgadvise-theme");
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  if (theme) {
    theme.hidden = false;
    theme.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      keep("pgadvise-theme", root.dataset.theme);
    });
  }

  // Copying.
  for (const pre of all("pre.copy")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copybutton";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const code = pre.querySelector("code").cloneNode(true);
      for (const extra of all(".flag, .ln", code)) extra.remove();
      const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
      try { await navigator.clipboard.writeText(code.textContent); done(); } catch {
        const area = document.createElement("textarea");
        area.value = code.textContent;
        document.body.append(area);
        area.select();
        if (document.execCommand("copy")) done();
        area.remove();
      }
    });
    pre.append(button);
  }

  // Paper shows everything that is folded away.
  addEventListener("beforeprint", () => { for (const one of all("details:not([open])")) { one.open = true; one.dataset.shut = "1"; } });
  addEventListener("afterprint", () => { for (const one of all("details[data-shut]")) { one.open = false; delete one.dataset.shut; } });

  const reveal = (element) => {
    for (let up = element; up; up = up.parentElement) {
      if (up.tagName === "DETAILS") up.open = true;
      if (up.tagName === "TBODY" && up.classList.contains("fold")) {
        const box = up.previousElementSibling && up.previousElementSibling.querySelector("input");
        if (box) box.checked = true;
      }
    }
  };

  const plans = new Map();
  for (const plan of all("section.plan")) {
    const prefix = plan.id.slice(0, -4);
    const statement = document.getElementById(prefix);
    const props = statement.querySelector(".props");
    // By node: its section, and what stands for it in the views.
    const nodes = new Map();
    const order = [];
    for (const section of all(".node", props)) nodes.set(section.id, { section, marks: [] });
    for (const mark of all("a.n", plan)) {
      const known = nodes.get(mark.getAttribute("href").slice(1));
      if (!known) continue;
      known.marks.push(mark);
      const row = mark.closest("tr");
      if (row) { known.row = row; order.push(known); }
    }
    const below = new Map();
    for (const known of order) {
      const up = known.section.dataset.up;
      known.up = up ? nodes.get(prefix + "n" + up) : undefined;
      if (known.up) { if (!below.has(known.up)) below.set(known.up, []); below.get(known.up).push(known); }
    }
    const state = { chosen: null };
    const first = nodes.get((props.querySelector(".node.first") || {}).id);
    for (const known of nodes.values()) for (const mark of known.marks) mark.tabIndex = -1;
    const entry = first || order[0];
    if (entry) for (const mark of entry.marks) mark.tabIndex = 0;

    const inView = () => {
      for (const name of ["tree", "flame", "rows"]) {
        const view = plan.querySelector("." + name + "view");
        if (view && getComputedStyle(view).display !== "none") return view;
      }
      return plan;
    };
    const markIn = (known, view) => known.marks.find((mark) => view.contains(mark));
    const choose = (known, { focus = false, open = true, push = true } = {}) => {
      if (state.chosen) {
        state.chosen.section.classList.remove("on");
        for (const mark of state.chosen.marks) { mark.classList.remove("on"); mark.tabIndex = -1; mark.removeAttribute("aria-current"); }
        if (state.chosen.row) { state.chosen.row.classList.remove("on"); state.chosen.row.removeAttribute("aria-selected"); }
      }
      if (!known && entry) for (const mark of entry.marks) mark.tabIndex = 0;
      state.chosen = known;
      props.classList.toggle("open", Boolean(known) && open);
      if (!known) { if (push) history.replaceState(null, "", location.pathname + location.search); return; }
      known.section.classList.add("on");
      props.scrollTop = 0;
      for (const mark of known.marks) { mark.classList.add("on"); mark.tabIndex = 0; mark.setAttribute("aria-current", "true"); }
      if (known.row) { known.row.classList.add("on"); known.row.setAttribute("aria-selected", "true"); reveal(known.row); }
      if (push) history.replaceState(null, "", "#" + known.section.id);
      const mark = markIn(known, inView());
      if (mark) {
        if (focus) mark.focus({ preventScroll: true });
        mark.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
    };
    const visible = () => order.filter((known) => known.row && known.row.offsetParent !== null);
    const step = (key) => {
      const from = state.chosen || entry;
      if (!from) return;
      if (!state.chosen) { choose(from, { focus: true }); return; }
      const siblings = from.up ? below.get(from.up) : [from];
      const shown = (list) => (list || []).find((one) => markIn(one, inView()));
      let to;
      if (inView().classList.contains("rowsview")) {
        const list = visible();
        const at = list.indexOf(from);
        to = { ArrowDown: list[at + 1], ArrowUp: list[at - 1], ArrowLeft: from.up, ArrowRight: shown(below.get(from)), Home: list[0], End: list[list.length - 1] }[key];
      } else {
        const at = siblings.indexOf(from);
        to = { ArrowDown: shown(below.get(from)), ArrowUp: from.up, ArrowLeft: shown(siblings.slice(0, at).reverse()), ArrowRight: shown(siblings.slice(at + 1)), Home: order[0], End: undefined }[key];
      }
      if (to) choose(to, { focus: true });
    };
    plan.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
      if (["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) { step(event.key); event.preventDefault(); }
      else if (event.key === "Enter" && event.target.matches("a.n")) {
        const known = nodes.get(event.target.getAttribute("href").slice(1));
        if (known) { choose(known); known.section.focus({ preventScroll: true }); event.preventDefault(); }
      }
    });

    // Search.
    const find = plan.querySelector(".find");
    const hits = plan.querySelector(".hits");
    plan.querySelector(".tools").hidden = false;
    plan.querySelector(".keys").hidden = false;
    let found = [];
    find.addEventListener("input", () => {
      for (const known of found) { if (known.row) known.row.classList.remove("hit"); for (const mark of known.marks) mark.classList.remove("hit"); }
      const words = find.value.trim().toLowerCase();
      found = words ? order.filter((known) => known.section.textContent.toLowerCase().includes(words)) : [];
      for (const known of found) { if (known.row) known.row.classList.add("hit"); for (const mark of known.marks) mark.classList.add("hit"); }
      hits.value = words ? String(found.length) : "";
    });
    find.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && found.length) {
        event.preventDefault();
        choose(found[(found.indexOf(state.chosen) + (event.shiftKey ? found.length - 1 : 1)) % found.length]);
      }
    });

    // Zoom.
    const tree = plan.querySelector("svg.tree");
    if (tree) {
      const box = tree.viewBox.baseVal;
      let scale = 1;
      const zoom = (to) => { scale = Math.min(2, Math.max(0.05, to)); tree.setAttribute("width", box.width * scale); tree.setAttribute("height", box.height * scale); };
      for (const button of all("[data-zoom]", plan)) button.addEventListener("click", () => {
        const view = tree.parentElement;
        const fit = Math.min(1, (view.clientWidth - 14) / box.width, (innerHeight * 0.78 - 14) / box.height);
        zoom(button.dataset.zoom === "fit" ? fit : button.dataset.zoom === "in" ? scale * 1.25 : scale / 1.25);
      });
      // A tree that is a little too wide is made to fit.
      const room = tree.parentElement.clientWidth - 14;
      if (room > 0 && box.width > room) zoom(Math.max(0.75, room / box.width));
      // A small screen begins with rows.
      const rows = plan.querySelector(".vr");
      if (rows && innerWidth < 700) rows.checked = true;
    }
    plans.set(prefix, { nodes, choose, state, find, plan });
  }

  const go = (hash) => {
    const id = decodeURIComponent(hash.slice(1));
    const target = document.getElementById(id);
    const kind = /^(s\d+)([a-z])\d+$/.exec(id);
    if (!target) return false;
    const plan = kind && plans.get(kind[1]);
    if (plan && kind[2] === "n") { reveal(plan.plan); plan.choose(plan.nodes.get(id)); return true; }
    if (plan && kind[2] === "g") {
      plan.plan.querySelector(".vr").checked = true;
      target.querySelector("input").checked = true;
      target.scrollIntoView({ block: "center" });
      return true;
    }
    reveal(target);
    for (const lit of all(".lit")) lit.classList.remove("lit");
    target.classList.add("lit");
    return false;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const hash = link.getAttribute("href");
    if (link.classList.contains("close")) {
      for (const plan of plans.values()) plan.choose(null);
      event.preventDefault();
      return;
    }
    if (go(hash)) {
      event.preventDefault();
      // From a finding, the plan comes into sight too.
      const plan = plans.get((/^#(s\d+)n/.exec(hash) || [])[1]);
      if (plan && link.closest(".findings")) plan.plan.scrollIntoView({ block: "nearest" });
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input[type=search], input[type=text], textarea");
    const shown = Array.from(plans.values()).filter((plan) => plan.plan.offsetParent !== null);
    const near = shown.find((plan) => plan.plan.contains(event.target)) || shown.find((plan) => plan.plan.getBoundingClientRect().bottom > 0) || shown[0];
    if (event.key === "/" && !typing && near) { near.find.focus(); event.preventDefault(); }
    else if (event.key === "Escape") {
      if (typing) { event.target.value = ""; event.target.dispatchEvent(new Event("input")); event.target.blur(); }
      else for (const plan of shown) if (plan.state.chosen) {
        const mark = plan.state.chosen.marks.find((one) => one.getClientRects().length);
        const inProps = event.target.closest(".props");
        plan.choose(null);
        if (inProps && mark) mark.focus();
      }
    }
  });
  addEventListener("hashchange", () => go(location.hash));
  if (location.hash.length > 1) go(location.hash);
})();
