//! Whether a request comes from Slack: its v0 signature over the raw body, at most five minutes old.
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Older (or newer) requests are replays, or somebody's clock is wrong.
const AGE_MAX: i64 = 300;

/// Why a request is refused; for the log, not for whoever sent it.
pub fn verify(
    secret: &SecretString,
    timestamp: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), String> {
    let timestamp = timestamp.ok_or("no X-Slack-Request-Timestamp")?;
    let sent: i64 = timestamp.parse().map_err(|_| "an X-Slack-Request-Timestamp that is no number")?;
    let age = now.as_second().saturating_sub(sent);
    if age.saturating_abs() > AGE_MAX {
        return Err(format!("signed {age} s ago; {AGE_MAX} s are allowed: a replay, or a clock is wrong"));
    }
    let signature =
        signature.and_then(|s| s.strip_prefix("v0=")).and_then(from_hex).ok_or("no X-Slack-Signature of version v0")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_err(|e| e.to_string())?;
    mac.update(b"v0:");
    mac.update(timestamp.as_bytes());
    mac.update(b":");
    mac.update(body);
    // Compares in constant time.
    mac.verify_slice(&signature)
        .map_err(|_| "a signature made with another secret: check SLACK_SIGNING_SECRET".to_owned())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's documentation.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const TIMESTAMP: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    #[test]
    fn only_slack_signs_so() {
        let at = |seconds: i64| Timestamp::from_second(1_531_420_618 + seconds).unwrap();
        let rows = [
            ("Slack's own example.", SECRET, Some(TIMESTAMP), Some(SIGNATURE), BODY, 0, true),
            ("Five minutes later.", SECRET, Some(TIMESTAMP), Some(SIGNATURE), BODY, 300, true),
            ("A second too late.", SECRET, Some(TIMESTAMP), Some(SIGNATURE), BODY, 301, false),
            ("From the future.", SECRET, Some(TIMESTAMP), Some(SIGNATURE), BODY, -301, false),
            ("Another body.", SECRET, Some(TIMESTAMP), Some(SIGNATURE), "payload={}", 0, false),
            ("Another secret.", "other", Some(TIMESTAMP), Some(SIGNATURE), BODY, 0, false),
            ("Another time.", SECRET, Some("1531420619"), Some(SIGNATURE), BODY, 0, false),
            ("No signature.", SECRET, Some(TIMESTAMP), None, BODY, 0, false),
            ("Half a digit.", SECRET, Some(TIMESTAMP), Some("v0=a21"), BODY, 0, false),
            ("No time.", SECRET, None, Some(SIGNATURE), BODY, 0, false),
        ];
        for (sentence, secret, timestamp, signature, body, later, good) in rows {
            let verified = verify(&SecretString::from(secret), timestamp, signature, body.as_bytes(), at(later));
            assert_eq!(verified.is_ok(), good, "{sentence} {verified:?}");
            assert!(!format!("{verified:?}").contains(SECRET), "{sentence}");
        }
    }
}
