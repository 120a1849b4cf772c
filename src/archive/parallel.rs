//! Work done by several threads and taken in the order in which it was given: a bounded number of pieces at a time.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Most threads that work.
const MOST: usize = 16;

/// Whoever gives work in.
pub(super) struct Giver<I, O> {
    work: SyncSender<(I, SyncSender<O>)>,
    order: SyncSender<Receiver<O>>,
}

impl<I, O> Giver<I, O> {
    /// Gives `input` in, and waits while too much is under way. False when nobody takes results any more.
    pub(super) fn give(&self, input: I) -> bool {
        let (result, awaited) = sync_channel(1);
        self.order.send(awaited).is_ok() && self.work.send((input, result)).is_ok()
    }
}

/// What `take` says when a result will never come.
pub(super) struct Lost;

/// Has `give` give work in, `work` do it on as many threads as there are processors, and `take` get the results in order.
/// `worker` makes what each thread keeps between two pieces.
pub(super) fn ordered<I: Send, O: Send, W, E: Send>(
    give: impl FnOnce(&Giver<I, O>) -> Result<(), E> + Send,
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, I) -> O + Sync,
    mut take: impl FnMut(Result<O, Lost>) -> Result<(), E>,
) -> Result<(), E> {
    let threads = thread::available_parallelism().map_or(2, usize::from).clamp(1, MOST);
    let (work_in, work_out) = sync_channel::<(I, SyncSender<O>)>(threads);
    let (order_in, order_out) = sync_channel::<Receiver<O>>(2 * threads);
    let work_out = Mutex::new(work_out);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = worker();
                loop {
                    // The guard is dropped before the work begins.
                    let next = work_out.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((input, result)) = next else { return };
                    // Nobody waits for it any more when this fails.
                    let _ = result.send(work(&mut own, input));
                }
            });
        }
        let giver = Giver { work: work_in, order: order_in };
        let feeding = scope.spawn(move || give(&giver));
        // Moved in, so that whoever gives is told when this fails.
        let order = order_out;
        let taken = order.iter().try_for_each(|awaited| take(awaited.recv().map_err(|_| Lost)));
        drop(order);
        taken?;
        // Who broke down has not given everything.
        feeding.join().unwrap_or_else(|_| take(Err(Lost)))
    })
}
