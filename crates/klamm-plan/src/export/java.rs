//! Java's client: the plan speaks its words. Serializers are the program's own business.

use super::properties::Page;
use crate::Setting;

pub(super) fn producer(settings: &[Setting], page: &mut Page) {
    settings.iter().for_each(|setting| page.setting(&setting.name, setting));
}

pub(super) fn consumer(settings: &[Setting], page: &mut Page) {
    settings.iter().for_each(|setting| page.setting(&setting.name, setting));
}
