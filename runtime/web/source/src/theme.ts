// Runs before anything is painted: the theme that was chosen, so that no page flashes in the other one.
{
  const chosen = localStorage.getItem("loaf.theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}
