//! Nobody decides who may do what, or everybody may.
//!
//! ## What it does
//! Looks for an authorizer (`live`, or `authorizer.class.name` in files of brokers), for rules that let `User:*` write, delete or administer everything, and in files for
//! `allow.everyone.if.no.acl.found=true`. Brokers hide that setting: without files it is not known, and the rule is not evaluated. Brokers that only their own
//! host reaches need none.
//!
//! ## Why it hurts
//! Whoever reaches a broker reads, deletes and changes what he likes, by mistake or not.
//!
//! ## Example
//!     allow.everyone.if.no.acl.found=true
//!
//! ## Use instead
//!     authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
//!     allow.everyone.if.no.acl.found=false
//!
//! ## Severity
//! Error where clients come in without a name, or everybody may change something; else warning.
//!
//! ## References
//! - KIP-801: StandardAuthorizer

use klamm_kafka::{Acl, Operation, Pattern, Permission, ResourceType};
use klamm_plan::{Change, ChangeKind, Risk};

use crate::brokers::{file_fix, file_values, is_broker, restart_fix, subject};
use crate::check::{Cx, Out};
use crate::evidence::{Acls, BrokerFile};
use crate::finding::{Finding, Fix, Severity};
use crate::listeners::{Listener, of_broker, of_file};

const CLASS: &str = "authorizer.class.name";
const STANDARD: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
const EVERYONE: &str = "allow.everyone.if.no.acl.found";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    if live.cluster.value().is_some_and(|cluster| cluster.embedded) {
        return;
    }
    let files = out.see("configuration files", &cx.evidence.files);
    let brokers: Vec<&BrokerFile> =
        files.iter().flat_map(|files| &files.brokers).filter(|file| is_broker(file)).collect();
    if let Some(acls) = out.see("access rules", &live.acls) {
        out.judged();
        if !acls.authorizer {
            missing(cx, out);
        } else {
            rules(cx, out, acls);
            if brokers.is_empty() {
                out.unclear(EVERYONE, "brokers hide it: give the files of the brokers with --files");
            }
        }
    }
    for file in &brokers {
        check_file(cx, out, file);
    }
    for value in file_values(cx, out, EVERYONE, "false") {
        out.judged();
        let crate::brokers::Home::File(file, setting) = value.home else { continue };
        if value.is_true() {
            let place = setting.map_or(&file.place, |setting| &setting.place);
            let finding =
                Finding::new(Severity::Error, subject(file), "what has no rule is open to everybody")
                    .fact(EVERYONE, "true", place.to_string())
                    .at(place);
            let fix = file_fix(file, setting, EVERYONE, "false").ask(
                "before that, add the rules that clients need: klamm acl simulate, klamm apply --with access",
            );
            found(cx, out, finding, fix);
        }
    }
}

fn missing(cx: &Cx<'_>, out: &mut Out) {
    let brokers = cx.evidence.live.brokers.value().map(Vec::as_slice).unwrap_or_default();
    let local = |listeners: Vec<Listener>| listeners.iter().all(Listener::is_loopback);
    if !brokers.is_empty() && brokers.iter().all(|broker| of_broker(broker).is_some_and(local)) {
        return;
    }
    let anonymous = cx.evidence.live.cluster.value().is_some_and(|cluster| cluster.anonymous);
    let severity = if anonymous { Severity::Error } else { Severity::Warning };
    let ids: Vec<i32> = brokers.iter().map(|broker| broker.id).collect();
    let who = if anonymous { "without a name" } else { "with a name" };
    let finding = Finding::new(severity, "cluster", "it has no authorizer")
        .fact(CLASS, "none", "the cluster's answer to a question for its rules")
        .fact("the auditing client was let in", who, "connection");
    let fix = restart_fix(cx, &ids, &format!("{CLASS}={STANDARD}"), &format!("{CLASS}="))
        .ask("first let clients log in (SASL or client certificates), write super.users for brokers and admins, and add the rules that clients need: klamm apply --with access");
    found(cx, out, finding, fix);
}

fn check_file(cx: &Cx<'_>, out: &mut Out, file: &BrokerFile) {
    let told = file.settings.get(CLASS);
    match (told.map(|setting| setting.value.as_deref()), file.open) {
        (None, true) => {
            return out.unclear(&subject(file), format!("{CLASS} may be set where nobody looked"));
        }
        (Some(None), _) => {
            return out.unclear(&subject(file), format!("{CLASS} is set to what is not a constant"));
        }
        (Some(Some(class)), _) if !class.trim().is_empty() => return out.judged(),
        _ => out.judged(),
    }
    if of_file(file).is_some_and(|listeners| listeners.iter().all(Listener::is_loopback)) {
        return;
    }
    let finding = Finding::new(Severity::Warning, subject(file), "it has no authorizer")
        .fact(CLASS, "none", "Kafka's default")
        .at(told.map_or(&file.place, |setting| &setting.place));
    let fix = file_fix(file, told, CLASS, STANDARD)
        .ask("the controllers need the same; write super.users for brokers and admins first");
    found(cx, out, finding, fix);
}

fn rules(cx: &Cx<'_>, out: &mut Out, acls: &Acls) {
    for acl in
        acls.rules.iter().filter(|acl| acl.permission == Permission::Allow && acl.principal == "User:*")
    {
        out.judged();
        let all = acl.resource_type == ResourceType::Cluster
            || (acl.pattern == Pattern::Literal && acl.resource == "*");
        // Looking at all, joining a group and making topics of one's own are choices.
        let harmless =
            [Operation::Describe, Operation::DescribeConfigs, Operation::IdempotentWrite, Operation::Create];
        let own = matches!(acl.resource_type, ResourceType::Group | ResourceType::TransactionalId)
            && acl.operation != Operation::All
            && acl.operation != Operation::Delete;
        if !all || harmless.contains(&acl.operation) || own {
            continue;
        }
        let severity = if acl.operation == Operation::Read { Severity::Warning } else { Severity::Error };
        let fix = Fix::new("take the rule away, and allow by name", Risk::DeniesClients)
            .ask("first allow by name who needs it: klamm acl simulate shows who would be denied")
            .command(command(cx, "--remove --force", acl))
            .undo(command(cx, "--add", acl))
            .change(Change {
                topic: String::new(),
                kind: ChangeKind::Revoke { acl: acl.clone() },
                risk: Risk::DeniesClients,
            });
        let finding = Finding::new(severity, format!("rule {acl}"), "it allows everybody").fact(
            "rule",
            acl.to_string(),
            "access rules of the cluster",
        );
        found(cx, out, finding, fix);
    }
}

/// Kafka's own tool for one rule. Names of operations are Kafka's, in its camel case.
fn command(cx: &Cx<'_>, action: &str, acl: &Acl) -> String {
    let option = match acl.resource_type {
        ResourceType::Topic => "--topic",
        ResourceType::Group => "--group",
        ResourceType::TransactionalId => "--transactional-id",
        ResourceType::DelegationToken => "--delegation-token",
        ResourceType::User => "--user-principal",
        ResourceType::Cluster => "--cluster",
    };
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let resource = if option == "--cluster" { String::new() } else { format!(" {}", quoted(&acl.resource)) };
    let pattern = acl.pattern.to_string().to_lowercase();
    let host = if acl.host == "*" { String::new() } else { format!(" --allow-host {}", quoted(&acl.host)) };
    format!(
        "kafka-acls.sh --bootstrap-server {} {action} --allow-principal {}{host} --operation {:?} {option}{resource} --resource-pattern-type {pattern}",
        cx.bootstrap(),
        quoted(&acl.principal),
        acl.operation
    )
}

fn found(cx: &Cx<'_>, out: &mut Out, finding: Finding, fix: Fix) {
    out.found(
        finding
            .consequence("whoever reaches a broker may read, write, delete or administer what the rule, or its absence, leaves open")
            .fix(fix)
            .next(format!("kafka-acls.sh --bootstrap-server {} --list", cx.bootstrap())),
    );
}
