//! What goes wrong between hosts and switches.

use std::time::Instant;

use anyhow::Result;

use super::Lab;
use crate::netlink::Passing;

impl Lab {
    /// Cuts a link silently: the host's interface keeps its carrier, and not a frame passes. Says when.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn cut(&mut self, host: &str, link: u8) -> Result<Instant> {
        self.switch(link)?.plug(host, false)?;
        Ok(Instant::now())
    }

    /// Cuts every link of a host silently. Says when the first was cut.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn cut_all(&mut self, host: &str) -> Result<Instant> {
        let at = Instant::now();
        (0..self.links(host)).try_for_each(|link| self.switch(link)?.plug(host, false))?;
        Ok(at)
    }

    /// The host is not heard any more on this link, but hears.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn mute(&mut self, host: &str, link: u8) -> Result<Instant> {
        self.switch(link)?.pass(
            host,
            Passing {
                inward: false,
                outward: true,
            },
        )?;
        Ok(Instant::now())
    }

    /// The host hears nothing any more on this link, but is heard.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn deafen(&mut self, host: &str, link: u8) -> Result<Instant> {
        self.switch(link)?.pass(
            host,
            Passing {
                inward: true,
                outward: false,
            },
        )?;
        Ok(Instant::now())
    }

    /// Mends all links of a host, whatever was wrong with them.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn heal(&mut self, host: &str) -> Result<Instant> {
        for link in 0..self.links(host) {
            let switch = self.switch(link)?;
            switch.plug(host, true)?;
            switch.pass(
                host,
                Passing {
                    inward: true,
                    outward: true,
                },
            )?;
            switch.light(host, true)?;
        }
        Ok(Instant::now())
    }

    /// The host's interface loses its carrier, as when the cable is pulled. Says when.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn carrier_down(&mut self, host: &str, link: u8) -> Result<Instant> {
        let at = Instant::now();
        self.switch(link)?.light(host, false)?;
        Ok(at)
    }

    /// The power fails: nothing leaves from one moment on, then everything that ran there is gone with its interfaces
    /// and addresses. The disk stays. Says when the cut was complete.
    ///
    /// # Errors
    /// Where the kernel refuses, or the host is off.
    pub fn power_off(&mut self, host: &str) -> Result<Instant> {
        self.cut_all(host)?;
        let at = Instant::now();
        self.host(host)?.kill_all()?;
        (0..self.links(host)).try_for_each(|link| self.switch(link)?.disconnect(host))?;
        self.host(host)?.power_off();
        Ok(at)
    }

    /// The host is there again, with its own addresses; nothing runs on it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn power_on(&mut self, host: &str) -> Result<()> {
        self.host(host)?.power_on()?;
        self.connect(host)
    }
}
