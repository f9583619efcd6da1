// "Use my position" on the application form. Browsers tell it to pages over HTTPS or from this machine only.
const line = document.querySelector(".locate");
const button = document.getElementById("locate");
const said = document.getElementById("located");

if (line && "geolocation" in navigator && window.isSecureContext) {
  line.hidden = false;
  button.addEventListener("click", () => {
    said.textContent = button.dataset.busy;
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        document.getElementById("latitude").value = coords.latitude.toFixed(6);
        document.getElementById("longitude").value = coords.longitude.toFixed(6);
        said.textContent = `± ${Math.round(coords.accuracy)} m`;
      },
      () => { said.textContent = button.dataset.failed; },
      { enableHighAccuracy: true, timeout: 15000, maximumAge: 60000 },
    );
  });
}

// What was wrong is the first thing that is read.
document.getElementById("summary")?.focus();
