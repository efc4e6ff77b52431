/**
 * Sends each response of a Google Form to Otklik, signed by Standard Webhooks.
 *
 * Set-up: in the form's script editor paste this file, fill in the two script properties OTKLIK_ADDRESS (the address
 * that Otklik shows for the source) and OTKLIK_SECRET (whsec_…), run `install` once and grant what it asks for.
 * The titles of the questions are what a source's field map names.
 */
function install() {
  ScriptApp.newTrigger('send').forForm(FormApp.getActiveForm()).onFormSubmit().create();
}

function send(event) {
  const response = event.response;
  const answers = {};
  response.getItemResponses().forEach(function (item) {
    answers[item.getItem().getTitle()] = item.getResponse();
  });
  const body = JSON.stringify({
    response_id: response.getId(),
    answered_at: response.getTimestamp().toISOString(),
    answers: answers,
    attributes: { email: response.getRespondentEmail() },
  });
  const settings = PropertiesService.getScriptProperties();
  const key = Utilities.base64Decode(settings.getProperty('OTKLIK_SECRET').replace(/^whsec_/, ''));
  // The same for each attempt: whatever is sent again is known again.
  const id = 'google-forms-' + response.getId();
  for (let attempt = 0; attempt < 4; attempt++) {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const signed = Utilities.newBlob(id + '.' + timestamp + '.' + body).getBytes();
    const signature = Utilities.base64Encode(Utilities.computeHmacSha256Signature(signed, key));
    const answer = UrlFetchApp.fetch(settings.getProperty('OTKLIK_ADDRESS'), {
      method: 'post',
      contentType: 'application/json',
      payload: body,
      headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': 'v1,' + signature },
      muteHttpExceptions: true,
    });
    if (answer.getResponseCode() === 202) {
      return;
    }
    Utilities.sleep(1000 * Math.pow(4, attempt));
  }
  throw new Error('Otklik did not take response ' + response.getId());
}
