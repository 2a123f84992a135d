"""`host` and `max` spelled out for a saved machine."""

from __future__ import annotations

from tarmac.drivers.qemu.live.cpu import spelled, switches


def test_flags_that_switch_features_go_into_the_question() -> None:
    assert switches("+aes,-avx2,hv_relaxed,kvm=off,vendor=GenuineIntel,enforce") == {
        "aes": True,
        "avx2": False,
        "kvm": False,
    }
    assert switches("") == {}


def test_every_feature_is_named_and_what_is_none_is_kept() -> None:
    props = {"aes": True, "avx2": False, "family": 6, "model-id": "a, b", "kvm-pv-eoi": True, "vendor": "GenuineIntel"}
    text = spelled("base", props, "+aes,-avx2,+kvm_pv_eoi,hv_relaxed,hv_vendor_id=me,enforce", enforce=True)
    words = ["base", "aes=on", "avx2=off", "family=6", "kvm-pv-eoi=on", "model-id=a,, b", "vendor=GenuineIntel"]
    assert text == ",".join([*words, "hv_relaxed", "hv_vendor_id=me", "enforce"])
    assert spelled("base", {"aes": True}, "", enforce=False) == "base,aes=on"
