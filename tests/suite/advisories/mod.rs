//! The published advisories of JupyterHub's family, each as a test of this hub.
//!
//! ```text
//! TABLE: number, ids --> here:     a test of its name in a file of this folder, against a running hub
//!                    --> there:    tests of the crate that the matter belongs to
//!                    --> not here: hubd has no such part, and which file would say that it has one
//! ```
//!
//! A test here asks for what the advisory was about, and shows two things: it is refused, and it has
//! left no trace in the books or among the processes ([`hub_tests::trace`]).

mod accounts;
mod config;
mod names;
mod pages;
mod proxy;
mod redirects;
mod rights;
mod secrets;
mod servers;
mod sessions;
mod tokens;
mod xsrf;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where an advisory is shown not to hold.
enum Proof {
    /// By this test, called by the advisory's id.
    Here(&'static str, fn()),
    /// By these tests: file and function.
    There(&'static [(&'static str, &'static str)]),
    /// hubd has no such part: which one, and the file that would be there if it had.
    NoSuchPart(&'static str, &'static str),
}

/// A test of this folder.
macro_rules! here {
    ($file:ident :: $test:ident) => {
        Proof::Here(stringify!($test), $file::$test)
    };
}

/// Number, ids, and where the proof is.
#[rustfmt::skip]
const TABLE: &[(u8, &str, Proof)] = &[
    (1, "CVE-2019-10255 GHSA-rv62-4pmj-xw6h", here!(redirects::cve_2019_10255_backslashes_in_next)),
    (2, "CVE-2026-33709 GHSA-3vff-hjqv-m7h8", here!(redirects::cve_2026_33709_own_host_before_two_slashes)),
    (3, "CVE-2020-36191 GHSA-7xx3-qp5w-fw96", here!(xsrf::cve_2020_36191_the_api_takes_no_bare_cookie)),
    (4, "CVE-2021-41247 GHSA-cw7p-q79f-m2v7", here!(sessions::cve_2021_41247_a_poll_logs_nobody_in_again)),
    (5, "CVE-2024-28233 GHSA-7r3h-4ph8-w38g", here!(xsrf::cve_2024_28233_a_tossed_cookie_counts_for_nothing)),
    (6, "CVE-2024-41942 GHSA-9x4q-3gxw-849f", here!(rights::cve_2024_41942_only_admins_make_and_change_admins)),
    (7, "CVE-2026-40864 GHSA-m68r-v472-jgq9", here!(xsrf::cve_2026_40864_no_cors_excuses_no_change)),
    (8, "CVE-2026-54338 GHSA-p43p-whwx-q52h", here!(secrets::cve_2026_54338_a_failed_login_is_short_in_the_log)),
    (9, "GHSA-c4gm-pwx9-9w8j", here!(pages::ghsa_c4gm_pwx9_9w8j_next_is_escaped)),
    (10, "GHSA-69wv-m5fw-2fhp", here!(rights::ghsa_69wv_m5fw_2fhp_a_filtered_scope_opens_no_collection)),
    (11, "GHSA-mj6q-mp44-53v8", here!(rights::ghsa_mj6q_mp44_53v8_rights_follow_the_person)),
    (12, "GHSA-hx46-2cv3-mh6g", here!(servers::ghsa_hx46_2cv3_mh6g_magic_keys_are_inert)),
    (13, "GHSA-5jhc-4h3c-q97h", Proof::There(&[
        ("spawner-local/tests/faults.rs", "every_step_that_fails_refuses_the_start"),
        ("spawner-local/tests/child.rs", "a_server_of_another_account_is_what_the_kernel_says_it_is"),
    ])),
    (14, "GHSA-93gc-h923-mp36", here!(names::ghsa_93gc_h923_mp36_dots_are_no_names)),
    (15, "GHSA-r764-xgvf-jrfj", here!(accounts::ghsa_r764_xgvf_jrfj_an_admin_in_any_spelling)),
    (16, "GHSA-pvm9-48cg-w76j", here!(tokens::ghsa_pvm9_48cg_w76j_no_token_outlives_the_maximum)),
    (17, "GHSA-x7xh-7hc7-9436", here!(names::ghsa_x7xh_7hc7_9436_a_new_name_is_checked)),
    (18, "(5.5.3, 6.1.0)", here!(tokens::long_tokens_and_tokens_of_others)),
    (19, "CVE-2020-15110 GHSA-v7m9-9497-p9gr", Proof::There(&[
        ("spawner-core/src/ids.rs", "object_names_never_collide"),
        ("spawner-docker/src/name.rs", "names_are_unique_and_safe"),
    ])),
    (20, "CVE-2020-26261 GHSA-cg54-gpgr-4rm6", here!(secrets::cve_2020_26261_a_token_is_where_only_its_server_sees_it)),
    (21, "CVE-2023-48311 GHSA-hfgr-h3vc-p6c2", Proof::There(&[
        ("spawner-docker/src/choice.rs", "without_a_list_there_is_no_choice"),
        ("spawner-docker/tests/engine.rs", "only_allowed_images_run"),
    ])),
    (22, "CVE-2018-7206 GHSA-8x3m-m3x9-54fj", here!(accounts::cve_2018_7206_members_alone_come_in)),
    (23, "CVE-2020-26250 GHSA-384w-5v3f-q499", here!(config::cve_2020_26250_an_old_key_is_never_ignored)),
    (24, "CVE-2022-31027 GHSA-r7v4-jwx9-wx43", Proof::There(&[
        ("hubd/tests/oidc/main.rs", "an_account_is_one_persons"),
        ("hubd/tests/oidc/main.rs", "a_token_that_proves_nothing_is_refused"),
    ])),
    (25, "CVE-2024-29033 GHSA-55m3-44xf-hg4h", Proof::There(&[
        ("hubd/tests/oidc/main.rs", "who_may_not_come_in_leaves_no_trace"),
        ("hubd/src/auth/oidc/claims.rs", "an_organisation_is_signed_or_none"),
    ])),
    (26, "CVE-2024-37300 GHSA-gprj-3p75-f996", Proof::There(&[
        ("hubd/tests/oidc/main.rs", "who_may_not_come_in_leaves_no_trace"),
    ])),
    (27, "CVE-2026-33175 GHSA-rrvg-cxh4-qhrv", Proof::There(&[
        ("hubd/tests/oidc/main.rs", "who_may_not_come_in_leaves_no_trace"),
        ("hubd/src/auth/oidc/claims.rs", "a_mail_address_counts_only_if_it_is_verified"),
    ])),
    (28, "CVE-2021-41194 GHSA-5xvc-vgmp-jgc3", here!(accounts::cve_2021_41194_a_password_is_for_every_spelling)),
    (29, "CVE-2023-25574 GHSA-mcgx-2gcr-p3hp", Proof::There(&[
        ("hubd/tests/oidc/main.rs", "a_token_that_proves_nothing_is_refused"),
    ])),
    (30, "CVE-2026-34052 GHSA-8mxq-7xr7-2fxj", Proof::There(&[
        ("hubd/src/auth/throttle.rs", "memory_is_bounded_and_keeps_the_busy"),
        ("hubd/src/oauth/codes.rs", "the_book_is_bounded"),
        ("hubd/src/auth/oidc/attempt.rs", "beginning_costs_no_memory_and_logins_are_bounded"),
    ])),
    (31, "CVE-2021-39159 GHSA-9jjr-qqfp-ppwx", Proof::NoSuchPart("building images of repositories", "hubd/src/binder/mod.rs")),
    (32, "CVE-2021-39160 GHSA-mq5p-2mcr-m52j", Proof::NoSuchPart("building images of repositories", "hubd/src/binder/mod.rs")),
    (33, "CVE-2022-21697 GHSA-gcv9-6737-pjqw", here!(proxy::cve_2022_21697_the_route_table_alone_names_targets)),
    (34, "CVE-2024-28179 GHSA-w3vc-fx9p-wp4v", here!(proxy::cve_2024_28179_an_upgrade_opens_no_door)),
    (35, "CVE-2024-35225 GHSA-fvcq-4x64-hqxr", here!(pages::cve_2024_35225_an_error_page_echoes_nothing_raw)),
    (36, "CVE-2025-32428 GHSA-vrq4-9hc3-cgp7", here!(proxy::cve_2025_32428_the_hub_listens_where_it_was_told_to)),
    (37, "CVE-2025-23205 GHSA-fcr8-4r9f-r66m", here!(pages::cve_2025_23205_no_page_can_be_framed)),
    (38, "CVE-2020-26232 CVE-2020-26275 CVE-2023-39968 CVE-2025-61669",
        here!(redirects::cve_2020_26232_cve_2020_26275_cve_2023_39968_cve_2025_61669_every_redirect_stays_here)),
    (39, "CVE-2022-24757 GHSA-p737-p57g-4cpr GHSA-c3mw-737p-c7g2", here!(secrets::cve_2022_24757_no_log_has_a_credential)),
    (40, "CVE-2022-29241 GHSA-q874-g24w-4q9g", here!(secrets::cve_2022_29241_the_state_is_for_the_hub_alone)),
    (41, "CVE-2023-40170 GHSA-64x5-55rw-9974", here!(xsrf::cve_2023_40170_no_other_site_reads_an_answer)),
    (42, "CVE-2023-49080 GHSA-h56g-gq9v-vc8r", here!(secrets::cve_2023_49080_a_failure_tells_nothing_of_the_machine)),
    (43, "CVE-2024-35178 GHSA-hrw6-wg82-cm62", here!(pages::cve_2024_35178_static_files_have_no_other_place)),
    (44, "CVE-2026-40110 GHSA-24qx-w28j-9m6p", here!(accounts::cve_2026_40110_a_pattern_is_about_the_whole)),
    (45, "CVE-2026-40934 GHSA-5mrq-x3x5-8v8f", here!(sessions::cve_2026_40934_a_new_password_ends_every_login)),
    (46, "CVE-2026-35397 GHSA-5789-5fc7-67v3", here!(names::cve_2026_35397_a_prefix_is_no_sibling)),
    (47, "CVE-2026-44727 GHSA-fcw5-x6j4-ccmp", here!(pages::cve_2026_44727_what_people_write_is_text)),
    (48, "CVE-2022-39286 GHSA-m678-f26j-3hrp", here!(servers::cve_2022_39286_nothing_in_a_home_is_run_instead)),
];

#[test]
fn every_advisory_has_its_proof() {
    let numbers: Vec<u8> = TABLE.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=48).collect::<Vec<_>>(), "each once");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tests = BTreeSet::new();
    for (number, ids, proof) in TABLE {
        match proof {
            Proof::Here(name, test) => {
                assert!(
                    tests.insert(*test as usize),
                    "{number}: {name} is there twice"
                );
                let first = ids.split(' ').next().unwrap_or_default();
                let spelt = first.to_ascii_lowercase().replace('-', "_");
                let named = !first.contains('-') || name.starts_with(&spelt);
                assert!(named, "{number}: {name} is not called {spelt}");
            }
            Proof::There(tests) => {
                for (file, test) in *tests {
                    let text = fs::read_to_string(root.join(file));
                    let text = text.unwrap_or_else(|error| panic!("{number}: {file}: {error}"));
                    let is_there = text.contains(&format!("fn {test}("));
                    assert!(is_there, "{number}: {file} has no {test}");
                }
            }
            Proof::NoSuchPart(part, file) => {
                let is_there = root.join(file).exists();
                assert!(
                    !is_there,
                    "{number}: hubd has {part} ({file}): name its tests"
                );
            }
        }
    }
}
