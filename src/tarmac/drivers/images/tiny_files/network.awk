# network-config, version 1, as Proxmox writes it -> lines "name mac kind address netmask gateway", "-" where unknown.
# Not a YAML parser: it takes one key per line and knows which keys begin something new.
function flush() {
	if (kind != "") print name, mac, kind, address, mask, gateway
	kind = ""; address = mask = gateway = "-"
}
function value(text) {
	sub(/^[^:]*:[ \t]*/, "", text); gsub(/["'\r]/, "", text); sub(/[ \t]+(#.*)?$/, "", text)
	return text
}
BEGIN { name = mac = address = mask = gateway = "-" }
/^[ \t]*#/ { next }
/type:[ \t]*["']?(physical|bond|bridge|vlan)/ { flush(); name = mac = "-"; servers = 0; next }
/type:[ \t]*["']?nameserver/ { flush(); servers = 1; next }
/type:/ { flush(); servers = 0; kind = value($0); next }
servers && /^[ \t]*search:/ { servers = 0; next }
servers && /address:[ \t]*[^ \t]/ { print "-", "-", "nameserver", value($0), "-", "-"; next }
servers && /^[ \t]*-[ \t]/ { sub(/^[ \t]*-[ \t]*/, "x:"); print "-", "-", "nameserver", value($0), "-", "-"; next }
/mac_address:/ { mac = tolower(value($0)); next }
/name:/ { name = value($0); next }
/netmask:/ { mask = value($0); next }
/gateway:/ { gateway = value($0); next }
/address:/ { address = value($0); next }
END { flush() }
