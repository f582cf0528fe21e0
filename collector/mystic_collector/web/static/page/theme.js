// Before anything is painted: the colours somebody chose last time. "auto" is the system's choice.
(() => {
  let chosen = "auto";
  try { chosen = localStorage.getItem("mystic.theme") || "auto"; } catch { /* storage may be denied */ }
  document.documentElement.dataset.theme = chosen;
})();
