// Shows new messages by loading the list again when there are some, and only while somebody looks.
const newest = document.querySelector("main").dataset.newest;

setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(`/api/messages?after=${newest}`);
    if (answer.ok && (await answer.json()).length > 0) location.reload();
  } catch {
    // The mailbox is stopped: ask again later.
  }
}, 2000);
