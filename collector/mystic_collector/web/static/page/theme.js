// Before anything is painted: the colours somebody chose last time. "auto" is the system's choice.
(() => {
  let chosen = "auto";
  try { chosen = localStorage.getItem("mystic.theme") || "auto"; } catch { /* storage may be denied */ }
  document.documentElement.dataset.theme = chosen;
})();

// A script that did not arrive, because the network changed or the collector began anew, leaves nothing to see: try again.
addEventListener("error", (event) => {
  if (event.target?.tagName !== "SCRIPT") return;
  let tried = 9;
  try {
    tried = Number(sessionStorage.getItem("mystic.tried") || 0);
    sessionStorage.setItem("mystic.tried", tried + 1);
  } catch { /* without storage it would try for ever */ }
  if (tried < 3) setTimeout(() => location.reload(), 500 * (tried + 1));
}, true);
addEventListener("load", () => { if (document.querySelector("#main > *")) try { sessionStorage.removeItem("mystic.tried"); } catch { /* as above */ } });
