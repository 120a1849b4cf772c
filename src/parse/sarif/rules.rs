//! Which rule a result means: by number, by id, in the driver or in an extension.

use crate::parse::sarif::metadata::{Component, Metadata, Rule, Tool};
use crate::parse::sarif::result::Reference;

impl Metadata {
    /// The level that an invocation gave to the rule that `reference` means.
    pub(crate) fn override_level(&self, invocation: u32, reference: &Reference) -> Option<&str> {
        let list = self.overrides.as_ref()?.get(usize::try_from(invocation).ok()?)?;
        let (wanted, _) = self.rule(reference);
        let found = list.iter().find(|entry| match (wanted, self.rule(&entry.rule).0) {
            (Some(wanted), Some(found)) => std::ptr::eq(wanted, found),
            _ => entry.rule.id.is_some() && entry.rule.id == reference.id,
        })?;
        found.level.as_deref()
    }

    /// The rule that `reference` means, and the component that it belongs to.
    pub(crate) fn rule(&self, reference: &Reference) -> (Option<&Rule>, Option<&Component>) {
        let Some(tool) = &self.tool else { return (None, None) };
        let own = tool.component(reference);
        let by_index = || {
            let index = usize::try_from(reference.index?).ok()?;
            own?.rules
                .get(index)
                .filter(|rule| reference.id.as_deref().is_none_or(|id| is_part(id, &rule.id)))
        };
        if let Some(rule) = by_index() {
            return (Some(rule), own);
        }
        let Some(id) = reference.id.as_deref() else { return (None, own) };
        let mut components = own.into_iter().chain(&tool.components);
        let found = components.find_map(|component| Some((component.by_id(id)?, component)));
        found.map_or((None, own), |(rule, component)| (Some(rule), Some(component)))
    }
}

impl Tool {
    /// The component that a reference to a rule names; the driver, when it names none.
    fn component(&self, reference: &Reference) -> Option<&Component> {
        let Some(wanted) = &reference.component else { return self.components.first() };
        if let Some(index) = wanted.index.and_then(|index| usize::try_from(index).ok()) {
            return self.components.get(index + 1);
        }
        let same = |wanted: &Option<String>, found: &Option<String>| wanted.is_some() && wanted == found;
        self.components
            .iter()
            .find(|component| same(&wanted.guid, &component.guid) || same(&wanted.name, &component.name))
            .or_else(|| self.components.first())
    }
}

impl Component {
    /// The rule `id`, or the one that it refines, as `CA1000/1` refines `CA1000`.
    fn by_id(&self, id: &str) -> Option<&Rule> {
        let mut id = id;
        loop {
            if let Some(index) = self.by_id.get(id) {
                return self.rules.get(*index);
            }
            id = id.rsplit_once('/')?.0;
        }
    }
}

/// Whether `id` is `rule` or refines it.
fn is_part(id: &str, rule: &str) -> bool {
    rule.is_empty() || id.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
