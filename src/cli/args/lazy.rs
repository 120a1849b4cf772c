//! Words of a verb that are described when the verb is used: each start knows one verb, and describing all of them takes
//! longer than the rest of the reading.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// What can be typed after a verb, not described before that verb was typed or everything is to be shown.
#[derive(Debug)]
pub(in crate::cli) struct Lazy<T>(pub(in crate::cli) T);

impl<T: Args> Args for Lazy<T> {
    fn augment_args(verb: Command) -> Command {
        verb.defer(T::augment_args)
    }

    fn augment_args_for_update(verb: Command) -> Command {
        verb.defer(T::augment_args_for_update)
    }
}

impl<T: FromArgMatches> FromArgMatches for Lazy<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
