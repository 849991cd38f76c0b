//! What holds for every page, asked of it in a browser: on a desk and on a phone, light and dark.

use serde_json::{Value, json};

use super::chromium::Chromium;

/// The rules, as a script that returns what a page does not keep of them.
const RULES: &str = include_str!("rules.js");
/// The narrowest width that pages are made for, in CSS pixels, and a usual height.
const PHONE: (u32, u32) = (375, 812);

impl Chromium {
    /// Holds the page against the rules in every way that it is looked at, and leaves screenshots of
    /// them. Nothing was reported to the console meanwhile.
    pub(crate) async fn inspect(&self, name: &str) {
        for dark in [false, true] {
            self.set_scheme(dark).await;
            for phone in [false, true] {
                self.set_phone(phone).await;
                let place = if phone { "phone" } else { "wide" };
                let scheme = if dark { "-dark" } else { "" };
                let view = format!("{name}-{place}{scheme}");
                self.keep(&view).await;
                let faults = self.ask(RULES, &[]).await;
                assert_eq!(faults, json!([]), "{view}: {faults:#}");
            }
        }
        self.set_scheme(false).await;
        self.set_phone(false).await;
        let errors = self.console().await;
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }

    async fn set_scheme(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "media": "", "features": features });
        self.tell("Emulation.setEmulatedMedia", media).await;
        let asked = "return matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(self.ask(asked, &[]).await, Value::Bool(dark));
    }

    async fn set_phone(&self, phone: bool) {
        if !phone {
            let nothing = json!({});
            self.tell("Emulation.clearDeviceMetricsOverride", nothing)
                .await;
            return;
        }
        let (width, height) = PHONE;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.tell("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        assert_eq!(self.ask("return innerWidth", &[]).await, width);
    }
}
