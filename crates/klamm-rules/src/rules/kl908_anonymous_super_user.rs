//! Clients without a name are super users, or a wildcard is written that is none.
//!
//! ## What it does
//! Reads `super.users` in files of brokers: `User:ANONYMOUS` is everybody who comes in over a listener without authentication. `User:*` is no wildcard there: Kafka
//! compares names as they are, so it makes nobody a super user. Brokers hide the setting over the wire.
//!
//! ## Why it hurts
//! With ANONYMOUS among the super users no access rule holds for whoever uses a listener without authentication.
//!
//! ## Example
//!     super.users=User:admin;User:ANONYMOUS
//!
//! ## Use instead
//!     super.users=User:admin
//!
//! ## Severity
//! Error for ANONYMOUS, warning for the wildcard that does nothing.
//!
//! ## References
//! - Apache Kafka, security: authorization and ACLs

use crate::brokers::{Home, file_fix, file_values, subject};
use crate::check::{Cx, Out};
use crate::finding::{Finding, Severity};

const NAME: &str = "super.users";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for value in file_values(cx, out, NAME, "") {
        let Home::File(file, setting) = value.home else { continue };
        out.judged();
        let users: Vec<&str> =
            value.value.split(';').map(str::trim).filter(|user| !user.is_empty()).collect();
        let has = |name: &str| users.contains(&name);
        let (severity, what, consequence) = match (has("User:ANONYMOUS"), has("User:*")) {
            (true, _) => (
                Severity::Error,
                "clients without a name are super users",
                "whoever reaches a listener without authentication may do everything, whatever the rules say",
            ),
            (_, true) => (
                Severity::Warning,
                "User:* is no wildcard there",
                "it makes nobody a super user: who counts on it is denied",
            ),
            _ => continue,
        };
        let kept: Vec<&str> =
            users.iter().copied().filter(|user| !["User:ANONYMOUS", "User:*"].contains(user)).collect();
        let place = setting.map_or(&file.place, |setting| &setting.place);
        let fix = file_fix(file, setting, NAME, &kept.join(";"))
            .ask("brokers and controllers have to be among them by the name that they log in with, else they are locked out of each other");
        out.found(
            Finding::new(severity, subject(file), what)
                .fact(NAME, value.value, place.to_string())
                .consequence(consequence)
                .fix(fix)
                .next("which listeners take clients without authentication (KL901, KL909)?")
                .at(place),
        );
    }
}
