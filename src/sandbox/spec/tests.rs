use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = CString> {
    prop::collection::vec(1_u8..=255, 0..20).prop_map(|bytes| CString::new(bytes).unwrap())
}

fn texts() -> impl Strategy<Value = Vec<CString>> {
    prop::collection::vec(text(), 0..4)
}

fn blob() -> impl Strategy<Value = Blob> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Blob)
}

fn world() -> impl Strategy<Value = World> {
    let kind = prop_oneof![Just(BindKind::System), Just(BindKind::Read), Just(BindKind::Write)];
    let part = prop_oneof![Just(ProcPart::HiddenFile), Just(ProcPart::HiddenFolder)];
    let binds = prop::collection::vec((text(), kind).prop_map(|(path, kind)| Bind { path, kind }), 0..4);
    let pairs = || prop::collection::vec((text(), text()), 0..3);
    let files = || prop::collection::vec((text(), blob()), 0..3);
    let proc = prop::collection::vec((text(), part), 0..3);
    (any::<[u32; 2]>(), any::<[u64; 2]>(), pairs(), files(), binds, pairs(), proc, files()).prop_map(
        |([user, group], [scratch, inodes], links, files, binds, masks, proc, private)| World {
            ids: Ids { user, group, kind: IdKind::Dedicated },
            network: Network::Host,
            scratch,
            inodes,
            links,
            files,
            binds,
            masks,
            proc,
            private,
        },
    )
}

fn confined() -> impl Strategy<Value = Confined> {
    let rule = text().prop_map(|path| PathRule { path, access: Access::Device });
    let landlock =
        (prop::collection::vec(rule, 0..3), any::<Option<Vec<u16>>>()).prop_map(|(paths, ports)| Landlock {
            paths,
            ports: ports.map(|p| p.into_iter().take(3).collect()),
            sockets: UnixSockets::Any,
        });
    (
        prop::option::of(world()),
        prop::collection::vec((Just(Limit::Data), any::<u64>()), 0..3),
        prop::option::of(landlock),
        prop::option::of(text()),
        blob(),
    )
        .prop_map(|(world, limits, landlock, tripwire, filter)| Confined {
            world,
            limits,
            landlock,
            tripwire,
            filter,
        })
}

fn spec() -> impl Strategy<Value = Spec> {
    (text(), texts(), texts(), text(), prop::option::of(confined())).prop_map(
        |(program, argv, env, cwd, confined)| Spec {
            program,
            argv,
            env,
            cwd,
            ending: Ending::Trial,
            confined,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(spec in spec()) {
        prop_assert_eq!(Spec::decode(&spec.encode()).unwrap(), spec);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut framed = MAGIC.to_vec();
        framed.extend_from_slice(&bytes);
        let _ = Spec::decode(&framed);
        let _ = Spec::decode(&bytes);
    }

    #[test]
    fn a_byte_that_changed_makes_another_spec_or_none(spec in spec(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = spec.encode();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(other) = Spec::decode(&bytes) {
            prop_assert_ne!(&other, &spec);
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn a_spec_that_is_cut_or_goes_on_is_refused(spec in spec(), cut in any::<prop::sample::Index>()) {
        let mut bytes = spec.encode();
        prop_assert!(Spec::decode(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(Spec::decode(&bytes).is_err());
    }
}
