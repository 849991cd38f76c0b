//! The hub of this crate is configured as it should be.

use hubd::Hub;

#[test]
fn its_configuration_is_right() {
    let hub = Hub::builder()
        .config_toml(include_str!("../hubd.toml"), "hubd.toml")
        .unwrap()
        .spawner("marked", custom_spawner::build);
    hub.check().unwrap();
}
