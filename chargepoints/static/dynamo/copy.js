// Shows the copy button where the browser lets a page write to the clipboard (https and localhost).
const button = document.getElementById("copy-secret");
const secret = document.getElementById("secret");

if (navigator.clipboard) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(secret.textContent);
    button.textContent = "Copied";
  });
}
