//! A producer registers schemas by itself when it runs.
//!
//! ## What it does
//! Looks at producers with a schema-aware serializer of Confluent's (`file`, `code`): `auto.register.schemas` is true, or not set, which is the same.
//!
//! ## Why it hurts
//! Whatever class a producer happens to be started with becomes the newest version of its subject, also from a laptop or an old branch: nobody looked at it, and consumers have to live with it.
//!
//! ## Example
//!     value.serializer=io.confluent.kafka.serializers.KafkaAvroSerializer
//!
//! ## Use instead
//!     auto.register.schemas=false
//!     use.latest.version=true
//!
//! ## Severity
//! Warning.

use klamm_plan::Risk;

use crate::amend::set_client;
use crate::check::{Cx, Out};
use crate::client::Effective;
use crate::evidence::{Client, Role};
use crate::finding::{Finding, Fix, Severity};

const AUTO: &str = "auto.register.schemas";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for client in cx.clients(&[Role::Producer, Role::Streams, Role::ConnectWorker, Role::Unknown], out) {
        let told = client.effective(AUTO);
        if !aware(client) && !told.is_set() {
            continue;
        }
        let source = match &told {
            Effective::Set { source, .. } => source.clone(),
            _ if client.setting(AUTO).is_some() || client.open => {
                out.unclear(&client.subject(), told.source());
                continue;
            }
            _ => "default of Confluent's serializers".to_owned(),
        };
        out.judged();
        if told.is_set() && told.flag() != Some(true) {
            continue;
        }
        let fix = set_client(
            Fix::new(
                "register schemas when they are released, not when a producer runs",
                Risk::RestartsClients,
            ),
            client,
            AUTO,
            "false",
        )
        .ask("register the schemas in the pipeline that releases the producer");
        let finding = Finding::new(Severity::Warning, client.subject(), "it registers schemas when it runs")
            .fact(AUTO, "true", source)
            .consequence("a schema that nobody looked at becomes the newest version of its subject")
            .fix(fix)
            .next("which step of the release registers schemas?")
            .at(&client.place)
            .weighed(cx.weight_of_all(&client.topics));
        out.found(finding);
    }
}

fn aware(client: &Client) -> bool {
    let serializers = [
        "value.serializer",
        "key.serializer",
        "default.value.serde",
        "default.key.serde",
        "value.converter",
        "key.converter",
    ];
    let value = |name: &&str| client.setting(name).and_then(|setting| setting.value.as_deref());
    serializers.iter().filter_map(value).any(|class| class.contains("io.confluent"))
}
