//! What kind of answer a client would rather have.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether JSON comes before HTML in what a client accepts. Wildcards say nothing of either.
pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let (mut best, mut is_json) = (0.0, false);
    for entry in lines.flat_map(|line| line.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let json = match parts.next().map(str::to_ascii_lowercase).as_deref() {
            Some("application/json") => true,
            Some("text/html") => false,
            _ => continue,
        };
        let quality = parts.find_map(|parameter| parameter.strip_prefix("q="));
        let quality = quality.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
        // Of two that are as good the first one counts.
        if quality > best {
            (best, is_json) = (quality, json);
        }
    }
    is_json
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_better_of_json_and_html_counts() {
        for (accept, json) in [
            ("", false),
            ("*/*", false),
            ("application/json", true),
            ("Application/JSON, text/plain", true),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("application/json, text/html", true),
            ("text/html, application/json", false),
            ("text/html;q=0.5, application/json", true),
            ("application/json;q=0.4, text/html;q=0.5", false),
            ("application/json;q=0", false),
            ("application/json;q=x", false),
            ("text/javascript, application/json, */*; q=0.01", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(prefers_json(&headers), json, "{accept}");
        }
        assert!(!prefers_json(&HeaderMap::new()));
    }
}
