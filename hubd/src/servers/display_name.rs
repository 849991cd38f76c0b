//! What a person calls a named server, beside the name in its address.

/// The longest one, in characters.
pub(crate) const DISPLAY_NAME_MAX: usize = 255;

/// Whether a server can be called that: printable, without spaces at its ends or two in a row.
pub(crate) fn is_display_name(name: &str) -> bool {
    name.chars().count() <= DISPLAY_NAME_MAX
        && !name.contains(char::is_control)
        && name.trim() == name
        && !name.contains("  ")
}
