// The dialog in which a person types the worker's API_TOKEN. Takes elements.

// Resolves to what was typed, or "" if the person closed the dialog otherwise. `refused`: whether the dialog says that the last token was wrong.
export async function promptToken({dialog, field, refusal}, refused) {
  refusal.hidden = !refused;
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => { dialog.addEventListener("close", resolve, {once: true}); });
  const typed = dialog.returnValue === "use" ? field.value : "";
  field.value = "";
  return typed;
}
